// The field of zipcodes, and the numbers beside it.

import { Subscriber } from "./zmq.js";

const PLACES = 100_000;
const [WIDTH, HEIGHT] = [500, 200];
const [COLDEST, HOTTEST] = [-80, 134];
const FADED = 30_000; // After so many milliseconds without an update a place has faded,
const LEAST = 0.16; // to so much of its colour.
const SECONDS = 60; // What a chart shows.

const get = (id) => document.getElementById(id);
const numbers = new Intl.NumberFormat("en");

// Each digit divides the region of the digits before it into ten, five by two and two by five in turns: so a prefix
// is one region.
const region = (digits) => {
    let [x, y, width, height] = [0, 0, WIDTH, HEIGHT];
    [...digits].forEach((digit, level) => {
        const [columns, rows] = level % 2 ? [2, 5] : [5, 2];
        [width, height] = [width / columns, height / rows];
        x += (digit % columns) * width;
        y += Math.floor(digit / columns) * height;
    });
    return { x, y, width, height };
};

const pixels = new Uint32Array(PLACES);
const zipcodes = new Uint32Array(PLACES);
for (let zipcode = 0; zipcode < PLACES; zipcode++) {
    const { x, y } = region(String(zipcode).padStart(5, "0"));
    pixels[zipcode] = y * WIDTH + x;
    zipcodes[pixels[zipcode]] = zipcode;
}

const temperatures = new Int16Array(PLACES);
const humidities = new Uint8Array(PLACES);
const heard = new Float64Array(PLACES); // When, by the clock of the page; 0 is never.

// Colours

const STOPS = [
    [0, 40, 16, 92], [0.16, 62, 62, 178], [0.32, 40, 136, 212], [0.45, 74, 196, 190], [0.55, 190, 224, 138],
    [0.66, 252, 208, 84], [0.8, 244, 120, 50], [0.92, 206, 40, 62], [1, 122, 10, 62],
];
const palette = Array.from({ length: 256 }, (_, place) => {
    const at = place / 255;
    const next = STOPS.findIndex(([stop]) => stop >= at && stop > 0);
    const [[from, ...low], [to, ...high]] = [STOPS[next - 1], STOPS[next]];
    return low.map((value, channel) => value + ((high[channel] - value) * (at - from)) / (to - from));
});
// Of each temperature, as a pixel has it in memory, but for how opaque it is.
const packed = Array.from({ length: HOTTEST - COLDEST + 1 }, (_, degrees) => {
    const [red, green, blue] = palette[Math.round((degrees / (HOTTEST - COLDEST)) * 255)];
    return (blue << 16) | (green << 8) | red;
});
get("scale").style.background = `linear-gradient(90deg, ${palette
    .filter((_, place) => place % 15 === 0)
    .map(([red, green, blue]) => `rgb(${red} ${green} ${blue})`)})`;

// The subscriber

let prefix = "";
let arrived = 0;
let places = 0;

const onmessage = ([body]) => {
    if (body[0] > 57) return server(JSON.parse(new TextDecoder().decode(body.subarray(6))));
    arrived++;
    let [at, zipcode, temperature, humidity] = [0, 0, 0, 0];
    while (body[at] !== 32) zipcode = 10 * zipcode + body[at++] - 48;
    const sign = body[++at] === 45 ? (at++, -1) : 1;
    while (body[at] !== 32) temperature = 10 * temperature + body[at++] - 48;
    while (++at < body.length) humidity = 10 * humidity + body[at] - 48;
    if (!heard[zipcode]) places++;
    temperatures[zipcode] = Math.max(COLDEST, Math.min(HOTTEST, sign * temperature));
    humidities[zipcode] = humidity;
    heard[zipcode] = performance.now();
};

const onstate = (state) => {
    const changed = document.body.dataset.state !== state;
    document.body.dataset.state = state;
    get("state").textContent = state === "live" ? "live" : "reconnecting";
    if (changed) announce();
};

const feed = document.querySelector("meta[name=feed]").content;
const subscriber = new Subscriber(`ws://${location.hostname}${feed}`, onmessage, onstate);
subscriber.subscribe("stats");
subscriber.subscribe(prefix);

const choose = (text) => {
    const digits = text.replace(/\D/g, "").slice(0, 5);
    get("prefix").value = digits;
    if (digits === prefix) return;
    subscriber.subscribe(digits);
    subscriber.unsubscribe(prefix);
    prefix = digits;
    for (const button of document.querySelectorAll("[data-prefix]"))
        button.setAttribute("aria-pressed", button.dataset.prefix === prefix);
    tell();
    announce();
};
get("prefix").addEventListener("input", ({ target }) => choose(target.value));
document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
for (const button of document.querySelectorAll("[data-prefix]"))
    button.addEventListener("click", () => choose(button.dataset.prefix));

// The charts

const charts = new Map();
const chart = (id, value) => {
    const values = charts.get(id) ?? charts.set(id, []).get(id);
    values.push(value);
    if (values.length > SECONDS) values.shift();
    const most = 1.2 * Math.max(...values, 1);
    const points = values.map((value, place) => {
        const x = (place / Math.max(values.length - 1, 1)) * 100;
        return `${x.toFixed(1)},${(29 - (value / most) * 27).toFixed(1)}`;
    });
    get(id).querySelector("polyline").setAttribute("points", points.join(" "));
    get(id).querySelector("polygon").setAttribute("points", `0,30 ${points.join(" ")} 100,30`);
    get(id).querySelector("output").textContent = numbers.format(value);
};

// The counters of the server, which it sends once a second.
const server = ({ published, dropped, subscribers }) => {
    chart("published", published);
    chart("dropped", dropped);
    chart("subscribers", subscribers);
};

let ticked = performance.now();
setInterval(() => {
    const now = performance.now();
    chart("arriving", Math.round((arrived * 1000) / (now - ticked)));
    get("places").textContent = numbers.format(places);
    [arrived, ticked] = [0, now];
    tell();
}, 1000);

const degrees = (temperature) => `${temperature} °F, ${Math.round(((temperature - 32) * 5) / 9)} °C`;
const reading = (zipcode) =>
    heard[zipcode]
        ? `${String(zipcode).padStart(5, "0")}: ${degrees(temperatures[zipcode])}, ${humidities[zipcode]} % humidity`
        : `${String(zipcode).padStart(5, "0")}: nothing heard yet`;

let pointed = null;
const tell = () => {
    const all = prefix === "" ? "Everything" : `All that begins with ${prefix}`;
    const whole = prefix.length === 5 ? reading(Number(prefix)) : `${all} arrives.`;
    get("reading").textContent = pointed === null ? whole : reading(pointed);
};

// For those who do not see it: what has changed, and now and then how it goes.
const announce = () => {
    const state = document.body.dataset.state === "live" ? "Live" : "Reconnecting";
    const rate = get("arriving").querySelector("output").textContent;
    get("announcement").textContent =
        `${state}. Prefix ${prefix || "empty: everything"}. ${rate} updates a second, ${places} places.`;
};
setInterval(announce, 20_000);

// The field

const field = get("field");
const small = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
const smallContext = small.getContext("2d");
const image = smallContext.createImageData(WIDTH, HEIGHT);
const context = field.getContext("2d");
const cells = new Uint32Array(image.data.buffer);

let painted = 0;
const paint = (now) => {
    requestAnimationFrame(paint);
    if (now - painted < 30) return;
    painted = now;
    for (let zipcode = 1; zipcode < PLACES; zipcode++) {
        if (!heard[zipcode]) continue;
        const age = Math.min(1, (now - heard[zipcode]) / FADED);
        const opaque = 255 * (1 - (1 - LEAST) * age ** 3);
        cells[pixels[zipcode]] = (opaque << 24) | packed[temperatures[zipcode] - COLDEST];
    }
    smallContext.putImageData(image, 0, 0);
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(field.clientWidth * ratio), Math.round(field.clientHeight * ratio)];
    if (field.width !== width || field.height !== height) Object.assign(field, { width, height });
    context.clearRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(small, 0, 0, width, height);
    outline(width / WIDTH, height / HEIGHT, ratio);
};

// The ten regions of the first digit, and the one that is subscribed to.
const outline = (across, down, ratio) => {
    context.strokeStyle = context.fillStyle = "#fff";
    context.shadowColor = "#000";
    context.globalAlpha = 0.3;
    context.lineWidth = ratio;
    context.font = `600 ${13 * ratio}px system-ui, sans-serif`;
    for (let digit = 0; digit < 10; digit++) {
        const { x, y, width, height } = region(String(digit));
        context.strokeRect(x * across, y * down, width * across, height * down);
    }
    context.globalAlpha = 0.9;
    context.shadowBlur = 5 * ratio;
    for (let digit = 0; digit < 10; digit++) {
        const { x, y } = region(String(digit));
        context.fillText(digit, x * across + 8 * ratio, y * down + 18 * ratio);
    }
    context.globalAlpha = 1;
    if (prefix) frame(across, down, ratio);
    context.shadowBlur = 0;
};

// A region, or so much around it that it can be seen.
const frame = (across, down, ratio) => {
    const { x, y, width, height } = region(prefix);
    const least = 8 * ratio;
    const [wide, high] = [Math.max(width * across, least), Math.max(height * down, least)];
    context.lineWidth = 2.5 * ratio;
    context.strokeRect(
        Math.max(ratio, Math.min(x * across - (wide - width * across) / 2, field.width - wide - ratio)),
        Math.max(ratio, Math.min(y * down - (high - height * down) / 2, field.height - high - ratio)),
        wide,
        high,
    );
};

field.addEventListener("pointermove", (event) => {
    const { left, top, width, height } = field.getBoundingClientRect();
    const x = Math.floor(((event.clientX - left) / width) * WIDTH);
    const y = Math.floor(((event.clientY - top) / height) * HEIGHT);
    if (x < 0 || y < 0 || x >= WIDTH || y >= HEIGHT) return;
    pointed = zipcodes[y * WIDTH + x];
    tell();
});
field.addEventListener("pointerleave", () => {
    pointed = null;
    tell();
});
requestAnimationFrame(paint);
