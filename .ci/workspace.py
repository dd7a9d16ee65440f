#!/usr/bin/env python3
"""Tells .ci/run what cargo knows of the workspace in the current folder.

published      its crates that may go to a registry
libraries      of these, the ones without a program
rust-version   fails if a locked dependency needs a newer Rust than the crates say that they do
"""

import json
import subprocess
import sys


def main():
    command = ["cargo", "metadata", "--locked", "--format-version=1"]
    metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    ids = set(metadata["workspace_members"])
    members = [package for package in metadata["packages"] if package["id"] in ids]
    match sys.argv[1:]:
        case ["published"]:
            # None is any registry; `publish = false` is an empty list of them.
            print(*(member["name"] for member in members if member["publish"] is None), sep="\n")
        case ["libraries"]:
            print(*(member["name"] for member in members if is_library(member)), sep="\n")
        case ["rust-version"]:
            check_rust_version(members, metadata["packages"])
        case _:
            sys.exit(__doc__)


def is_library(member):
    kinds = {kind for target in member["targets"] for kind in target["kind"]}
    return member["publish"] is None and "lib" in kinds and "bin" not in kinds


def check_rust_version(members, packages):
    ours = min((member["rust_version"] for member in members), key=number)
    theirs = [package for package in packages if package["source"] and package["rust_version"]]
    too_new = [package for package in theirs if number(package["rust_version"]) > number(ours)]
    for package in too_new:
        print(f"{package['name']} {package['version']} needs Rust {package['rust_version']}")
    if too_new:
        sys.exit(f"the crates here say that they need Rust {ours}")
    newest = max((package["rust_version"] for package in theirs), key=number)
    print(f"the crates need Rust {ours}, their dependencies {newest}")


def number(version):
    return tuple(int(part) for part in version.split(".") + ["0"] * (3 - version.count(".") - 1))


if __name__ == "__main__":
    main()
