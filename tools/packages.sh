# Sourced by tools/demo and tests/run: need_packages NAME ... installs the Debian packages that are
# missing, as root or with sudo; else it lists them and ends with 1. A name may be a choice, a|b.

have_package() {
    [ "$(dpkg-query -W -f='${Status}' "$1" 2> /dev/null)" = 'install ok installed' ]
}

need_packages() (
    missing=
    for choice; do
        found=
        for package in $(printf '%s' "$choice" | tr '|' ' '); do
            if have_package "$package"; then found=1; fi
        done
        [ -n "$found" ] || missing="$missing ${choice%%|*}"
    done
    [ -n "$missing" ] || exit 0
    as_root=
    if [ "$(id -u)" -ne 0 ]; then
        as_root=sudo
        if ! sudo -n true 2> /dev/null && ! { [ -t 0 ] && sudo true; }; then
            echo "These Debian packages are missing:$missing" >&2
            echo "Install them as root: apt-get install$missing" >&2
            exit 1
        fi
    fi
    echo "Installing$missing"
    log=$(mktemp)
    # shellcheck disable=SC2086  # names are words
    if ! { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends $missing; } > "$log" 2>&1; then
        cat "$log" >&2
        echo "The packages could not be installed:$missing" >&2
        exit 1
    fi
    rm -f "$log"
)

# What building Primer needs.
build_packages='gcc libc6-dev cmake make pkg-config|pkgconf libopenblas-dev
    libutf8proc-dev libjansson-dev libstb-dev'
