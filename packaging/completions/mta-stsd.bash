# bash completion of mta-stsd(8). Commands, options and words are those of `mta-stsd help`, and a
# test compares them; the formats of records are asked for.
_mta_stsd() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words=
    COMPREPLY=()
    case $before in
    -c | --config | --ready-file | --receipt | --mark-published | --zone-file)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --format)
        case ${COMP_WORDS[1]} in
        records) words=$("${COMP_WORDS[0]}" help formats 2>/dev/null | sed 's/:.*//') ;;
        check | status | plan | log) words="text json" ;;
        export) words="files nginx caddy haproxy starttls-everywhere" ;;
        esac
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
        return
        ;;
    esac
    if [ "$before" = --side ]; then
        mapfile -t COMPREPLY < <(compgen -W "tenant provider" -- "$word")
        return
    fi
    if [ "$COMP_CWORD" = 1 ]; then
        words="serve check lint records plan log status export import version help"
    else
        case ${COMP_WORDS[1]} in
        serve) words="--config --ready-file" ;;
        check) words="--config --diff --format" ;;
        lint) words="--txt --tlsrpt" ;;
        records)
            words="--config --format --zone --side --relative --changed --since --receipt"
            words+=" --mark-published --check"
            ;;
        import) words="--zone-file --domain" ;;
        plan | log | status | export) words="--config --format" ;;
        help) words="config lints formats" ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
    case ${COMP_WORDS[1]} in
    lint | import) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word") ;;
    export) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word") ;;
    esac
}
complete -F _mta_stsd mta-stsd
