# The steps of .ci/run: what one says, and what is said of all at the end.
# shellcheck shell=bash

passed=0 skipped=0 started=$SECONDS current="start"

# The last line has the form that readers of any test's output know.
finish() {
    local status=$? failed=0
    if [ "$status" = 0 ]; then
        echo "== $passed steps passed, $skipped skipped in $((SECONDS - started)) s"
    else
        failed=1
        echo "== FAILED: $current (exit status $status)"
    fi
    echo "$passed passed, $failed failed, $skipped skipped"
}
trap finish EXIT
# Otherwise the last command's status, which is none of a script that was ended, would be taken for its own.
trap 'exit 130' INT
trap 'exit 143' TERM

# step NAME COMMAND...: runs the command with no input; says its name before and its duration after.
step() {
    [[ $1 == *"$only"* ]] || return 0
    current=$1
    local since=$SECONDS
    shift
    echo "== $current"
    "$@" </dev/null
    passed=$((passed + 1))
    echo "== $current: $((SECONDS - since)) s"
}

# skip NAME REASON: counts a step that cannot run here; with CI=true that ends everything.
skip() {
    [[ $1 == *"$only"* ]] || return 0
    current=$1
    echo "== $1: skipped, $2"
    [ "${CI:-}" != true ]
    skipped=$((skipped + 1))
}

# quietly COMMAND...: shows the output only if the command fails.
quietly() {
    local output
    output=$("$@" 2>&1) || { echo "$output"; return 1; }
}
