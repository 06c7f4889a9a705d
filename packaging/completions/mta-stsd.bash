# bash completion of mta-stsd(8). The program itself says what there is: mta-stsd help completion.
_mta_stsd() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[1]} name option values offered=
    COMPREPLY=()
    [ "$before" != -c ] || before=--config
    while read -r name option values; do
        if [ "$COMP_CWORD" = 1 ]; then
            [ "$option" != . ] || offered+=" $name"
        elif [ "$name" != "$command" ] || [ "$option" = . ]; then
            continue
        elif [ "$option" = "$before" ] && [ -n "$values" ]; then
            offered=$values
            break
        else
            [ "$option" = - ] && offered+=" $values" || offered+=" $option"
        fi
    done < <("${COMP_WORDS[0]}" help completion 2>/dev/null)
    name=${offered//@file/}
    name=${name//@dir/}
    mapfile -t COMPREPLY < <(compgen -W "${name//@word/}" -- "$word")
    case $offered in
    *@file*) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$word") ;;
    *@dir*) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$word") ;;
    esac
}
complete -F _mta_stsd mta-stsd
