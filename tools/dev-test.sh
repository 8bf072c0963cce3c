# shellcheck shell=bash
#
# dev-test.sh: ./dev test.  Sourced by ./dev.
#
# Every stage adds what it counted to $passed and $failed; a stage that breaks
# before it can count anything adds one failure.  Inputs are copied into the
# scratch folder, for the user who runs the server may not be able to read the
# checkout, and must not write into it.

passed=0
failed=0
failures=()         # what failed, named again below everything else

count() { passed=$((passed + $1)); failed=$((failed + $2)); }

# report NAME PASSED FAILED
report()
{
    count "$2" "$3"
    printf '%-12s %5d passed %5d failed\n' "$1" "$2" "$3"
}

# Lines of a file that match; 0 where there is no file.
matching() { grep -cP "$1" "$2" 2>/dev/null || true; }

# count_lines NAME LOG STATUS OK_PATTERN FAILED_PATTERN
# A bad exit status with nothing counted as failed is a failure by itself, and
# so is a stage in which nothing ran.
count_lines()
{
    local ok bad
    ok=$(matching "$4" "$2")
    bad=$(matching "$5" "$2")
    if [ "$bad" -eq 0 ] && { [ "$3" -ne 0 ] || [ "$ok" -eq 0 ]; }; then bad=1; fi
    report "$1" "${ok:-0}" "$bad"
    [ "$bad" -ne 0 ] || return 0
    mapfile -t -O ${#failures[@]} failures < <(failed_lines "$1" "$2" "$5")
    return 1
}

# failed_lines NAME LOG FAILED_PATTERN: each with the stage's name, and that of
# the TAP file which prove(1) was running.
failed_lines()
{
    name=$1 pattern=$3 perl -ne '
        $file = "$1: " if m{^(?:\[[\d:]+\] )?(t/\S+) \.\.};
        print "$ENV{name}: $file$_" if /$ENV{pattern}|^Dubious/' "$2"
}

# --- stages ------------------------------------------------------------------

test_lint()
{
    local check ok=0 bad=0
    for check in check-version check-layers check-text check-symbols; do
        if make_quietly "$check"; then ok=$((ok + 1)); else bad=$((bad + 1)); fi
    done
    report lint $ok $bad
}

# Plain, and once more under the address and undefined-behaviour sanitizers.
test_unit()
{
    run_unit unit
    run_unit sanitized SANITIZE=1
}

# run_unit NAME [MAKE_VARIABLE…]
# Each program ends with a line "test_NAME: N passed, N failed" about its checks
# and counts as one test.
run_unit()
{
    local name=$1 log=$scratch/$1.log status=0
    shift
    patiently with_build_lock make -s -k -j "${JOBS:-$(nproc)}" -C "$root/unit" PG_CONFIG="$pg_config" "$@" check \
        >"$log" 2>&1 || status=$?
    count_lines "$name" "$log" $status '^test_\w+.*: [1-9]\d* passed, 0 failed' \
        '^test_\w+.*: \d+ passed, [1-9]\d* failed' || tail -n 50 "$log"
}

# run_regress NAME PROGRAM TEST…: one of the two drivers that compare outputs
run_regress()
{
    local name=$1 program=$2 status=0
    shift 2
    [ $# -gt 0 ] || { report "$name" 0 0; return; }
    as_server mkdir -p "$scratch/$name"
    patiently as_server env -C "$scratch/$name" "$program" --host="$scratch" --port=5432 \
        --user=postgres --bindir="$bindir" --dbname="omenvec_$name" \
        --inputdir="$scratch/tests" --outputdir="$scratch/$name" \
        --load-extension=omenvec "$@" >"$scratch/$name.log" 2>&1 || status=$?
    count_lines "$name" "$scratch/$name.log" $status '^(test .*\.\.\. ok|ok )' '^(test .*\.\.\. FAILED|not ok )' || {
        cat "$scratch/$name.log"
        head -n 400 "$scratch/$name/regression.diffs" 2>/dev/null || true
    }
}

test_sql()
{
    run_regress sql "$(pgxs_test regress/pg_regress)" "$@"
}

test_specs()
{
    run_regress specs "$(pgxs_test isolation/pg_isolation_regress)" "$@"
}

# TAP files start servers of their own from the private installation.
test_tap()
{
    local log=$scratch/tap.log status=0
    [ $# -gt 0 ] || { report tap 0 0; return; }
    [ -f "$(pgxs_test perl/PostgreSQL/Test/Cluster.pm)" ] || {
        echo "this PostgreSQL comes without the modules for TAP tests (PostgreSQL::Test)"
        report tap 0 1
        return
    }
    patiently as_server env -C "$scratch/tests" TESTDIR="$scratch/tests" TMPDIR="$scratch" \
        top_builddir="$scratch/tests" PGPORT=65432 PG_REGRESS="$(pgxs_test regress/pg_regress)" \
        prove --verbose --timer -I "$(pgxs_test perl)" -I "$scratch/tests" "$@" \
        >"$log" 2>&1 || status=$?
    count_lines tap "$log" $status '^ok \d' '^not ok (?!.*# (TODO|SKIP))' || show_tap_failures "$log"
}

# Of each file that failed: what its servers did last, and what failed.
show_tap_failures()
{
    local file
    while read -r file; do
        for file in "$scratch/tests/tmp_check/log"/{,regress_log_}"$(basename "$file" .pl)"*; do
            [ -f "$file" ] || continue
            echo "--- end of $(basename "$file")"
            tail -n 40 "$file"
        done
    done < <(grep -oP '^t/\S+(?=\s+\(Wstat)' "$1")
    grep -A 12 '^# *Failed test' "$1" | head -n 200 || true
    grep -E '^(Dubious|t/|Result|Files=|  )' "$1" | tail -n 60 || true
}

# The benchmarks' own tests: of their parts, and a run of all on little data.
test_bench()
{
    local log=$scratch/bench.log status=0
    ensure_python
    patiently client env -C "$root/bench" "$python" -B -m unittest discover -v -s tests -t . \
        >"$log" 2>&1 || status=$?
    count_lines bench "$log" $status '\.\.\. ok$' '\.\.\. (FAIL|ERROR)$' || tail -n 100 "$log"
}

# --- what to run -------------------------------------------------------------

# A file of PGXS's src/test.
pgxs_test() { echo "$(dirname "$("$pg_config" --pgxs)")/../test/$1"; }

# Names of all tests of a folder: names_in sql .sql
names_in()
{
    find "$root/$1" -maxdepth 1 -name "*$2" -printf '%f\n' | sed "s/\\$2\$//" | LC_ALL=C sort
}

copy_inputs()
{
    mkdir "$scratch/tests"
    (cd "$root" && cp -r --parents sql expected specs t demo docs install src/storage/page_layout.h "$scratch/tests/")
    [ -z "$server_user" ] || chown -R "$server_user" "$scratch/tests"
}

# Everything, or the tests named: lint, unit, bench, sql/NAME, specs/NAME, t/NAME.pl;
# a bare folder stands for all in it.
run_selected()
{
    local name sql=() specs=() tap=() stages=
    [ $# -gt 0 ] || set -- lint unit sql specs t bench
    for name in "$@"; do
        case $name in
            lint | unit | bench) stages="$stages $name" ;;
            sql | sql/) mapfile -t sql < <(names_in sql .sql); stages="$stages sql" ;;
            specs | specs/) mapfile -t specs < <(names_in specs .spec); stages="$stages specs" ;;
            t | t/) mapfile -t tap < <(names_in t .pl | sed 's,.*,t/&.pl,'); stages="$stages tap" ;;
            sql/*) sql+=("$(basename "$name" .sql)"); stages="$stages sql" ;;
            specs/*) specs+=("$(basename "$name" .spec)"); stages="$stages specs" ;;
            t/*) tap+=("$name"); stages="$stages tap" ;;
            *) die "no such test: $name" ;;
        esac
    done
    for name in lint unit sql specs tap bench; do
        [[ " $stages " == *" $name "* ]] || continue
        case $name in
            lint) test_lint ;;
            unit) test_unit ;;
            sql) test_sql "${sql[@]}" ;;
            specs) test_specs "${specs[@]}" ;;
            tap) test_tap "${tap[@]}" ;;
            bench) test_bench ;;
        esac
    done
}

cmd_test()
{
    local under=
    case ${1:-} in
        --assert) use_own_postgres assert; shift ;;
        --valgrind)
            under=valgrind
            have valgrind || apt_install valgrind
            use_own_postgres valgrind -DUSE_VALGRIND
            shift
            [ $# -gt 0 ] || set -- sql specs
            ;;
    esac
    prepare_server
    ensure_test_tools
    copy_inputs
    if [ -n "$under" ]; then
        write_valgrind_postgres
        postgres_program=$scratch/valgrind-postgres
    fi
    # Expected outputs hold what VACUUM has done, not what a worker will do soon.
    start_server fsync=off shared_buffers=128MB max_prepared_transactions=10 \
        omenvec.max_maintenance_workers=0
    run_selected "$@"
    [ -z "$under" ] || report_valgrind
    [ ${#failures[@]} -eq 0 ] || printf 'failed: %s\n' "${failures[@]}"
    printf '%d passed, %d failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
