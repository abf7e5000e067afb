#!/usr/bin/env bash
# Brings what is missing, builds, and runs the tests. Arguments are Cake's:
#
#   ./build.sh                     # what guards behaviour, in minutes; Linux, macOS, WSL; needs the .NET SDK of global.json
#   ./build.sh --target=Full       # every test, as in CI
#   ./build.sh --target=Release    # another target; --tree lists them
#
# Most tests need PostgreSQL. With a container engine nothing else is needed. Without one, PostgreSQL's programs serve; where
# they are missing, this installs them on Debian and Ubuntu (as root, or with sudo), and says so first. The tests of the image
# and of compose.yaml, which are Full's, run where there is an engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

if ! command -v dotnet >/dev/null || ! dotnet --version >/dev/null 2>&1; then
    echo "The .NET SDK of global.json is missing. Install version 10 (https://dotnet.microsoft.com/download), and run this again." >&2
    exit 1
fi

summary=artifacts/tests/summary.txt
rm -f "$summary"

image=${CANCELSERVICE_POSTGRES_IMAGE:-postgres:17}

# An engine serves when it has the image, or gets it.
engine() {
    command -v docker >/dev/null && docker version >/dev/null 2>&1 || return 1
    docker image inspect "$image" >/dev/null 2>&1 && return 0
    echo "Getting the image $image ..."
    docker pull --quiet "$image" 2>&1
}

browser() {
    command -v chromium >/dev/null || apt_get chromium "The tests of the pages need a browser." || true
}

# The tests need more than PostgreSQL: with an engine, Compose (Docker's plugin, or Debian's program) and on Linux systemd's
# checker of units; Chromium for the pages; Prometheus and psql for the drills. Where one can't be brought, build.cake says what is left out.
tools() {
    browser
    command -v prometheus >/dev/null || apt_get prometheus "The drills of the runbook need Prometheus." || true
    command -v psql >/dev/null || apt_get postgresql-client "The drills of the runbook need psql." || true
    docker version >/dev/null 2>&1 || return 0
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null ||
        apt_get docker-compose "The tests of compose.yaml need Compose." || true
    [ "$(uname)" != Linux ] || command -v systemd-analyze >/dev/null ||
        apt_get systemd "The tests of the units need systemd-analyze." || true
}

programs() {
    if [ -n "${CANCELSERVICE_POSTGRES_PROGRAMS:-}" ]; then
        [ -x "$CANCELSERVICE_POSTGRES_PROGRAMS/initdb" ]
    else
        [ -x "$(pg_config --bindir 2>/dev/null)/initdb" ] || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
    fi
}

# Installs a package of Debian or Ubuntu, as root or with sudo, and says why first.
apt_get() {
    command -v apt-get >/dev/null || return 1
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || return 1
        sudo=(sudo)
    fi
    echo "$2 Installing: ${sudo[*]:+${sudo[*]} }apt-get install $1"
    "${sudo[@]}" apt-get -o DPkg::Lock::Timeout=300 update -q >/dev/null || true
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends "$1" >/dev/null
}

install() {
    apt_get postgresql "The tests need a container engine or PostgreSQL's programs." && programs
}

bring() {
    # Programs that are named are meant.
    if [ -n "${CANCELSERVICE_POSTGRES_PROGRAMS:-}" ]; then
        programs && return 0
    else
        engine || programs || install && return 0
    fi
    cat >&2 <<TEXT
The tests need PostgreSQL, and this script can't bring it here. The choices:
  a container engine  start Docker, or another that answers to its client, and that can get the image $image
                      (CANCELSERVICE_POSTGRES_IMAGE names another)
  Debian, Ubuntu      run this as root or with sudo, or: apt-get install postgresql
  Fedora              dnf install postgresql-server
  macOS               brew install postgresql@17, and put its programs on the PATH
  elsewhere           CANCELSERVICE_POSTGRES_PROGRAMS names the directory that holds initdb and pg_ctl
  nothing             dotnet test --project tests/UnitTests runs the tests that need no database
TEXT
    return 1
}

# Only the targets that test need it.
case "$*" in
*--target=Coverage* | *--target=Seed* | *--target=Long*) bring ;;
*--target=Full* | *--target=TestFull*) bring && tools ;;
*--target=Test* | *--target=Default*) bring && browser ;;
*--target* | *--tree* | *--help* | *--version* | *--description*) ;;
*) bring && browser ;;
esac

# The last line counts the tests, where they ran.
dotnet tool restore
status=0
dotnet cake --settings_enablescriptcache=true "$@" || status=$? # An unchanged script starts in a second instead of four.
if [ -f "$summary" ]; then cat "$summary"; fi
exit "$status"
