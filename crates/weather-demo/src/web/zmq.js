// A ZeroMQ subscriber for the browser: RFC 45, the bare profile ZWS2.0, where each frame is a binary WebSocket
// message of one octet of flags (1: more frames of the same message follow) and a body.

const MORE = 1;
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 4000;

export class Subscriber {
    #url;
    #socket = null;
    #topics = new Set();
    #pause = FIRST_PAUSE;
    #onmessage;
    #onstate;

    // `onmessage` gets the parts of each message, each a Uint8Array; `onstate` is told "live" or "away".
    constructor(url, onmessage, onstate) {
        this.#url = url;
        this.#onmessage = onmessage;
        this.#onstate = onstate;
        this.#connect();
    }

    subscribe(topic) {
        this.#topics.add(topic);
        this.#say(1, topic);
    }

    unsubscribe(topic) {
        this.#topics.delete(topic);
        this.#say(0, topic);
    }

    #connect() {
        const socket = new WebSocket(this.#url, "ZWS2.0");
        socket.binaryType = "arraybuffer";
        let identified = false;
        let parts = [];
        socket.onopen = () => {
            socket.send(Uint8Array.of(0)); // Our identity: none.
            this.#socket = socket;
            this.#pause = FIRST_PAUSE;
            for (const topic of this.#topics) this.#say(1, topic);
            this.#onstate("live");
        };
        socket.onmessage = ({ data }) => {
            if (!identified) return void (identified = true); // Theirs.
            const frame = new Uint8Array(data);
            parts.push(frame.subarray(1));
            if (frame[0] & MORE) return;
            this.#onmessage(parts);
            parts = [];
        };
        socket.onclose = () => {
            this.#socket = null;
            this.#onstate("away");
            setTimeout(() => this.#connect(), this.#pause);
            this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
        };
    }

    // A subscription is a message: 1 to begin and 0 to end, then the topic.
    #say(what, topic) {
        this.#socket?.send(Uint8Array.of(0, what, ...new TextEncoder().encode(topic)));
    }
}
