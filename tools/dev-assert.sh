# shellcheck shell=bash
#
# dev-assert.sh: a PostgreSQL with assertions, for ./dev test --assert, and one
# that tells valgrind of its allocations, for ./dev test --valgrind.  Sourced by
# ./dev.
#
# Built once, from the source package of the distribution, and kept in a cache
# folder; delete that folder to build it anew.  apt gets lists and state of its
# own, below the same folder, so neither the system's list of sources changes
# nor is root needed for anything but missing packages.

# Where it is kept.  The server of a run by root is another user, who cannot
# look into root's home.
assert_cache()
{
    if [ -n "${XDG_CACHE_HOME:-}" ]; then
        echo "$XDG_CACHE_HOME/omenvec"
    elif [ "$EUID" -eq 0 ]; then
        echo /var/cache/omenvec
    else
        echo "$HOME/.cache/omenvec"
    fi
}

# A command of apt, with lists and state below the current folder.
apt_apart()
{
    local command=$1
    shift
    "$command" -q -o Dir::State="$PWD/state" -o Dir::Cache="$PWD/cache" \
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$PWD/sources" \
        -o Dir::State::status=/var/lib/dpkg/status -o APT::Sandbox::User= "$@"
}

# The system's sources, as sources of source packages, into folder $1.
source_lists()
{
    local file
    mkdir -p "$1"
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$file" ] || continue
        sed -n 's/^deb[[:blank:]]/deb-src /p' "$file" >"$1/$(basename "$file" .list)-src.list"
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        sed 's/^Types:.*/Types: deb-src/' "$file" >"$1/$(basename "$file" .sources)-src.sources"
    done
}

# fetch_archive PACKAGE: the newest that can be had; mirrors do not always have all that they list.
fetch_archive()
{
    local version
    for version in $(apt_apart apt-cache showsrc --only-source "$1" |
        sed -n 's/^Version: //p' | sort -ruV); do
        apt_apart apt-get source --download-only --tar-only --only-source "$1=$version" && return
    done
    return 1
}

# fetch_postgres MAJOR FOLDER: its source, unpacked in FOLDER/source
fetch_postgres()
{
    mkdir -p "$2/state/lists/partial" "$2/cache/archives/partial" "$2/source"
    source_lists "$2/sources"
    (
        cd "$2" || exit
        apt_apart apt-get update        # a source without source packages is no obstacle
        fetch_archive "postgresql-$1" && tar -xf postgresql-*.orig.tar.* -C source --strip-components=1
    )
}

# build_postgres SOURCE PREFIX FLAGS: -O1 keeps it fast enough for tests that watch the clock
build_postgres()
{
    (
        cd "$1" &&
            ./configure --prefix="$2" --enable-cassert --enable-debug --enable-tap-tests \
                --without-readline --without-icu --without-zlib CFLAGS="-O1 -g $3" &&
            nice make -s -j "${JOBS:-$(nproc)}" &&
            make -s install &&
            make -s -C contrib/pageinspect install &&
            cp src/tools/valgrind.supp "$2/share/"
    ) </dev/null
}

# make_postgres MAJOR PREFIX FLAGS: fetch, build and install; the stamp comes last.
make_postgres()
{
    local major=$1 prefix=$2 work=$2.build
    [ ! -f "$prefix/complete" ] || return 0
    rm -rf "$work" "$prefix"
    mkdir -p "$work"
    {
        fetch_postgres "$major" "$work" && build_postgres "$work/source" "$prefix" "$3"
    } >"$prefix.log" 2>&1 || return 1
    rm -rf "$work"
    touch "$prefix/complete"
}

# use_own_postgres NAME [FLAG]: sets PG_CONFIG to that of the cached build of this name.
use_own_postgres()
{
    local cache major prefix
    ensure_build_tools
    ensure_test_tools
    have bzip2 || apt_install bzip2
    cache=$(assert_cache)
    major=$("$pg_config" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
    prefix=$cache/postgresql-$major-$1
    mkdir -p "$cache"
    [ -f "$prefix/complete" ] || say "building a PostgreSQL $major for --$1 in $prefix: takes some minutes, once"
    patiently make_postgres_alone "$major" "$prefix" "${2:-}" ||
        { tail -n 20 "$prefix.log" >&2; die "could not build it; all of the log: $prefix.log"; }
    PG_CONFIG=$prefix/bin/pg_config
}

# While no other ./dev does.
make_postgres_alone()
{
    (
        flock 9
        make_postgres "$@"
    ) 9>"$2.lock"
}

# A program to start in place of postgres: the same, all its processes under
# valgrind.  Leaks are not looked for: PostgreSQL frees by context, or by exit.
write_valgrind_postgres()
{
    cat >"$scratch/valgrind-postgres" <<END
#!/bin/sh
exec valgrind -q --leak-check=no --trace-children=yes --error-limit=no --num-callers=25 \\
    --suppressions='$("$pg_config" --sharedir)/valgrind.supp' \\
    --log-file='$scratch/valgrind.%p.log' '$bindir/postgres' "\$@"
END
    chmod 755 "$scratch/valgrind-postgres"
}

# What valgrind has found counts as one test.
report_valgrind()
{
    local file bad=0
    for file in "$scratch"/valgrind.*.log; do
        [ -s "$file" ] || continue
        bad=1
        head -n 60 "$file"
    done
    report valgrind $((1 - bad)) $bad
}
