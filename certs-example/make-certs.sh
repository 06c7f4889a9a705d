#!/bin/bash
# A throw-away certificate authority and certificates of policy hosts, for trying out and for tests.
# Never use what it makes on a real host: the authority's keys lie unprotected beside it.
set -euo pipefail
umask 077

usage() {
    cat <<'USAGE'
usage: make-certs.sh [OPTION...] OUTDIR [NAME...]

Makes OUTDIR/ca.pem (the root to trust) and, for each NAME, OUTDIR/NAME/fullchain.pem and
OUTDIR/NAME/privkey.pem. NAME is a host name, "*.example.org" (folder wildcard.example.org) or
several with commas between them (folder of the first). What is there and still good is kept.

  --ca DIR                use (or make) the authority of another OUTDIR
  --rsa                   an RSA key of 2048 bits instead of EC P-256
  --days N                valid for N days (default 90)
layouts
  --combined              OUTDIR/NAME.pem: chain and key in one file
  --lego                  OUTDIR/NAME.crt and OUTDIR/NAME.key
  --kubernetes            OUTDIR/NAME/tls.crt and OUTDIR/NAME/tls.key
flaws, for tests
  --expired               ended yesterday
  --not-yet-valid         begins tomorrow
  --wrong-key             the key belongs to another certificate
  --missing-intermediate  the leaf alone
  --leaf-not-first        the intermediate stands before the leaf
  --no-san                the name is in the CN only
  --encrypted-key         the key asks for a passphrase
USAGE
}

die() {
    printf 'make-certs.sh: %s\n' "$*" >&2
    exit 1
}

# Runs openssl; its chatter is shown only when it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "failed: $*"
    }
}

new_key() { # FILE
    if [ "$algorithm" = rsa ]; then
        quietly openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out "$1"
    else
        quietly openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
    fi
}

# Certificates are made by `openssl ca`: the only command of OpenSSL 3.0 that takes a start date.
write_config() {
    : >"$work/index.txt"
    printf 'unique_subject = no\n' >"$work/index.txt.attr"
    cat >"$work/ca.cnf" <<CONFIG
[ca]
default_ca = authority
[authority]
new_certs_dir = $work
database = $work/index.txt
rand_serial = yes
default_md = sha256
policy = any
[any]
organizationName = optional
commonName = optional
[req]
distinguished_name = req_name
[req_name]
[root_ext]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[intermediate_ext]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
CONFIG
}

date_of() { # OFFSET, e.g. "-1 day"
    date -u -d "$1" +%Y%m%d%H%M%SZ
}

sign() { # REQUEST OUT START END CERTIFICATE KEY EXTENSIONS...
    local request=$1 out=$2 start=$3 end=$4 cert=$5 key=$6
    shift 6
    quietly openssl ca -batch -notext -config "$work/ca.cnf" -in "$request" -out "$out" \
        -startdate "$start" -enddate "$end" -cert "$cert" -keyfile "$key" "$@"
}

make_authority() {
    mkdir -p "$ca/.ca"
    if openssl verify -CAfile "$ca/ca.pem" "$ca/.ca/intermediate.pem" >/dev/null 2>&1 &&
        openssl x509 -checkend 8640000 -noout -in "$ca/.ca/intermediate.pem" >/dev/null; then
        return
    fi
    local algorithm=ec start end
    start=$(date_of '-3650 days')
    end=$(date_of '+3650 days')
    new_key "$work/root.key"
    quietly openssl req -new -config "$work/ca.cnf" -key "$work/root.key" -out "$work/root.csr" \
        -subj "/O=mta-stsd throw-away/CN=Root $RANDOM$RANDOM"
    quietly openssl ca -batch -notext -config "$work/ca.cnf" -selfsign -in "$work/root.csr" \
        -out "$work/root.pem" -startdate "$start" -enddate "$end" -keyfile "$work/root.key" \
        -extensions root_ext
    new_key "$work/intermediate.key"
    quietly openssl req -new -config "$work/ca.cnf" -key "$work/intermediate.key" \
        -out "$work/intermediate.csr" -subj "/O=mta-stsd throw-away/CN=Intermediate"
    sign "$work/intermediate.csr" "$work/intermediate.pem" "$start" "$end" "$work/root.pem" \
        "$work/root.key" -extensions intermediate_ext
    mv "$work/intermediate.key" "$work/intermediate.pem" "$ca/.ca/"
    mv "$work/root.key" "$ca/.ca/root.key"
    mv "$work/root.pem" "$ca/ca.pem"
    chmod 644 "$ca/ca.pem"
}

# Whether what is at $cert_file and $key_file is what would be made now.
still_good() {
    [ -z "$flaw" ] && [ -s "$cert_file" ] && [ -s "$key_file" ] || return 1
    openssl verify -CAfile "$ca/ca.pem" -untrusted "$ca/.ca/intermediate.pem" "$cert_file" \
        >/dev/null 2>&1 || return 1
    openssl x509 -checkend 86400 -noout -in "$cert_file" >/dev/null || return 1
    local text
    text=$(openssl x509 -noout -pubkey -text -ext subjectAltName -in "$cert_file")
    case $algorithm:$text in
    rsa:*rsaEncryption* | ec:*id-ecPublicKey*) ;;
    *) return 1 ;;
    esac
    local public
    public=$(openssl pkey -in "$key_file" -pubout 2>/dev/null) || return 1
    case $text in
    *"$public"*) ;;
    *) return 1 ;;
    esac
    [ "$(openssl x509 -noout -ext subjectAltName -in "$cert_file" | sed -n 's/ //g; 2p')" = \
        "DNS:${names//,/,DNS:}" ]
}

locate() { # NAMES: sets cert_file and key_file
    local first=${1%%,*}
    local base=$out/${first/#\*/wildcard}
    case $layout in
    certbot) cert_file=$base/fullchain.pem key_file=$base/privkey.pem ;;
    kubernetes) cert_file=$base/tls.crt key_file=$base/tls.key ;;
    lego) cert_file=$base.crt key_file=$base.key ;;
    combined) cert_file=$base.pem key_file=$base.pem ;;
    esac
}

make_leaf() { # NAMES
    local names=$1 start end leaf=$work/leaf.pem key=$work/leaf.key
    local cert_file key_file
    [[ $names =~ ^(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(,(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*)*$ ]] ||
        die "not a host name: $names"
    locate "$names"
    still_good && return

    start=$(date_of '-1 hour')
    end=$(date_of "+$days days")
    case $flaw in
    expired) start=$(date_of '-91 days') end=$(date_of '-1 day') ;;
    not-yet-valid) start=$(date_of '+1 day') end=$(date_of '+91 days') ;;
    esac
    {
        printf '[leaf]\nbasicConstraints = critical, CA:FALSE\n'
        printf 'keyUsage = critical, digitalSignature\nextendedKeyUsage = serverAuth\n'
        printf 'subjectKeyIdentifier = hash\nauthorityKeyIdentifier = keyid\n'
        [ "$flaw" = no-san ] || printf 'subjectAltName = DNS:%s\n' "${names//,/,DNS:}"
    } >"$work/leaf.cnf"

    local first=${names%%,*} subject='/O=mta-stsd throw-away'
    [ ${#first} -gt 64 ] || subject="$subject/CN=$first"
    new_key "$key"
    quietly openssl req -new -config "$work/ca.cnf" -key "$key" -out "$work/leaf.csr" \
        -subj "$subject"
    sign "$work/leaf.csr" "$leaf" "$start" "$end" "$ca/.ca/intermediate.pem" \
        "$ca/.ca/intermediate.key" -extfile "$work/leaf.cnf" -extensions leaf

    local chain=("$leaf" "$ca/.ca/intermediate.pem")
    case $flaw in
    wrong-key) new_key "$key" ;;
    missing-intermediate) chain=("$leaf") ;;
    leaf-not-first) chain=("$ca/.ca/intermediate.pem" "$leaf") ;;
    encrypted-key)
        quietly openssl pkey -in "$key" -aes-256-cbc -passout pass:secret -out "$work/locked.key"
        key=$work/locked.key
        ;;
    esac
    mkdir -p "$(dirname "$cert_file")"
    cat "${chain[@]}" >"$work/new.pem"
    if [ "$cert_file" = "$key_file" ]; then
        cat "$key" >>"$work/new.pem"
    else
        cat "$key" >"$work/new.key"
        mv "$work/new.key" "$key_file"
    fi
    mv "$work/new.pem" "$cert_file"
}

algorithm=ec layout=certbot flaw='' days=90 ca=''
while [ $# -gt 0 ]; do
    case $1 in
    --ca) ca=${2:?--ca needs a folder} && shift ;;
    --days) days=${2:?--days needs a number} && shift ;;
    --rsa) algorithm=rsa ;;
    --combined | --lego | --kubernetes) layout=${1#--} ;;
    --expired | --not-yet-valid | --wrong-key | --missing-intermediate | --leaf-not-first | \
        --no-san | --encrypted-key) flaw=${1#--} ;;
    -h | --help) usage && exit 0 ;;
    --) shift && break ;;
    -*) usage >&2 && exit 2 ;;
    *) break ;;
    esac
    shift
done
[ $# -gt 0 ] || {
    usage >&2
    exit 2
}
out=$1
shift
ca=${ca:-$out}
mkdir -p "$out" "$ca"
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
write_config
make_authority
for names in "$@"; do
    make_leaf "$names"
done
