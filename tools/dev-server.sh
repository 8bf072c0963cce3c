# shellcheck shell=bash
#
# dev-server.sh: packages, build, private installation, scratch server.
# Sourced by ./dev, which owns $root, $scratch, $server_user and the messages.
#
# How the private installation works: PostgreSQL finds its libraries and its
# share folder relative to where its programs lie.  So a folder with copies of
# the programs, links to everything else and our extension on top behaves as
# an installation of its own, needs no root and leaves the system's alone.

pg_config=          # of the server in use
bindir=             # of the private installation
postgres_program=   # what to start in place of postgres, if anything

unset "${!PGDATA@}" "${!PGHOST@}" PGPORT PGUSER PGDATABASE PGOPTIONS PGSERVICE PGPASSFILE
umask 022

# --- packages ----------------------------------------------------------------

as_root()
{
    if [ "$EUID" -eq 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "needs root or sudo: $*"
    fi
}

apt_install()
{
    local log
    have apt-get || die "missing: $*; install them by hand"
    say "installing packages: $*"
    log=$(mktemp)
    {
        as_root apt-get -qq -o DPkg::Lock::Timeout=300 update &&
            as_root env DEBIAN_FRONTEND=noninteractive \
                apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
    } </dev/null >"$log" 2>&1 || {
        tail -n 30 "$log" >&2
        rm -f "$log"
        die "could not install: $*"
    }
    rm -f "$log"
}

# True for a pg_config that belongs to a complete server, 15 or later.
usable_pg_config()
{
    local major
    [ -x "$1" ] || return 1
    major=$("$1" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
    [ "$major" -ge 15 ] && [ -x "$("$1" --bindir)/postgres" ] && [ -f "$("$1" --pgxs)" ]
}

# Version 15 comes first: it is the one that this code is developed on.
find_postgres()
{
    local candidate
    if [ -n "${PG_CONFIG:-}" ]; then
        pg_config=$(command -v "$PG_CONFIG") || die "PG_CONFIG: no program \"$PG_CONFIG\""
        usable_pg_config "$pg_config" ||
            die "PG_CONFIG: \"$PG_CONFIG\" is not of a server of version 15 or later with its development files"
        return
    fi
    for candidate in /usr/lib/postgresql/15/bin/pg_config \
        $(printf '%s\n' /usr/lib/postgresql/*/bin/pg_config | sort -rV) \
        "$(command -v pg_config || true)"; do
        if usable_pg_config "$candidate"; then
            pg_config=$candidate
            return
        fi
    done
    return 1
}

# The major version that apt would install.
packaged_postgres()
{
    if apt-cache show postgresql-15 >/dev/null 2>&1; then
        echo 15
    else
        apt-cache depends postgresql 2>/dev/null | sed -n 's/.*Depends: postgresql-\([0-9]*\)$/\1/p' | head -n 1
    fi
}

ensure_build_tools()
{
    local missing=() major
    have gcc && have make || missing+=(build-essential)
    have flock || missing+=(util-linux)
    if ! find_postgres; then
        have apt-get || die "no PostgreSQL server of version 15 or later with its development files; set PG_CONFIG"
        [ -n "$(packaged_postgres)" ] || as_root apt-get -qq update || die "could not read the package lists"
        major=$(packaged_postgres)
        [ "${major:-0}" -ge 15 ] || die "this distribution has no PostgreSQL of version 15 or later; add apt.postgresql.org"
        missing+=("postgresql-$major" "postgresql-server-dev-$major")
    fi
    [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
    [ -n "$pg_config" ] || find_postgres || die "could not find the PostgreSQL just installed"
}

ensure_test_tools()
{
    have prove || apt_install perl
    perl -MIPC::Run -e 1 2>/dev/null || apt_install libipc-run-perl
}

# --- build -------------------------------------------------------------------

make_quietly()
{
    make -s -C "$root" -j "${JOBS:-$(nproc)}" PG_CONFIG="$pg_config" "$@"
}

# Runs a command while no other ./dev builds in this checkout.
with_build_lock()
{
    (
        flock 9
        "$@"
    ) 9>"$root/.build.lock"
}

# Objects made for another server are of no use for this one.
build_locked()
{
    local stamp
    stamp="$("$pg_config" --version) $pg_config ${CC:-} ${COPT:-}"
    if [ "$(cat "$root/.build.stamp" 2>/dev/null || true)" != "$stamp" ]; then
        make_quietly clean >/dev/null
        echo "$stamp" >"$root/.build.stamp"
    fi
    make_quietly all >/dev/null
}

build()
{
    say "building for $("$pg_config" --version)"
    with_build_lock build_locked || die "build failed"
}

# --- private installation ----------------------------------------------------

make_scratch()
{
    local parent=${TMPDIR:-/tmp}
    [ ${#parent} -le 40 ] || parent=/tmp        # socket paths end at 107 bytes
    scratch=$(mktemp -d "$parent/omenvec-XXXXXX")
    if [ "$EUID" -eq 0 ]; then
        server_user=postgres
        id postgres >/dev/null 2>&1 || server_user=nobody
        chown "$server_user" "$scratch"
    fi
}

# link_folder FOLDER SUBFOLDER: links to all entries of a system folder, where
# SUBFOLDER, in which "make install" will put something, is a folder of its own.
link_folder()
{
    local copy=$scratch/pg$1
    mkdir -p "$copy"
    ln -s "$1"/* "$copy/"
    rm -f "$copy/$2"
    mkdir "$copy/$2"
    [ ! -d "$1/$2" ] || ln -s "$1/$2"/* "$copy/$2/"
}

# An omenvec that lies in the system must not be linked: "make install" could
# write through the link.
private_install()
{
    bindir=$scratch/pg$("$pg_config" --bindir)
    link_folder "$("$pg_config" --pkglibdir)" bitcode
    link_folder "$("$pg_config" --sharedir)" extension
    find "$scratch/pg" -name 'omenvec*' ! -type d -delete
    mkdir -p "$bindir"
    cp "$("$pg_config" --bindir)"/* "$bindir/"
    with_build_lock make_quietly DESTDIR="$scratch/pg" install >/dev/null || die "installation failed"
}

prepare_server()
{
    ensure_build_tools
    build
    make_scratch
    private_install
}

# --- server ------------------------------------------------------------------

# Run a program as the user of the server, who is never root.
as_server()
{
    if [ -n "$server_user" ]; then
        runuser -u "$server_user" -- env HOME="$scratch" PATH="$bindir:$PATH" "$@"
    else
        env PATH="$bindir:$PATH" "$@"
    fi
}

# Run a client of the scratch server.
client()
{
    env PGHOST="$scratch" PGPORT=5432 PGUSER=postgres PGDATABASE=postgres \
        PATH="$bindir:$PATH" "$@"
}

# usage: start_server [setting=value …]
start_server()
{
    local data=$scratch/data log=$scratch/server.log setting
    (
        cd "$scratch"
        as_server initdb -D "$data" -U postgres -A trust --locale=C --encoding=UTF8 \
            --no-sync --no-instructions >"$scratch/initdb.log" 2>&1
    ) || { cat "$scratch/initdb.log" >&2; die "initdb failed"; }
    {
        echo "listen_addresses = ''"
        echo "unix_socket_directories = '$scratch'"
        echo "port = 5432"
        for setting in "$@"; do echo "${setting%%=*} = '${setting#*=}'"; done
    } >>"$data/postgresql.conf"
    (cd "$scratch" && as_server pg_ctl -D "$data" -l "$log" -p "${postgres_program:-$bindir/postgres}" -w -s start) || {
        tail -n 20 "$log" >&2
        die "could not start the scratch server"
    }
}

stop_servers_below()
{
    local pid_file
    find "$1" -name postmaster.pid 2>/dev/null | while read -r pid_file; do
        (cd "$1" && as_server pg_ctl -D "$(dirname "$pid_file")" -m immediate -w -s stop) \
            >/dev/null 2>&1 || true
    done
}
