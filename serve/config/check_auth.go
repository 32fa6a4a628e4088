package config

import (
	"strconv"
	"strings"
	"time"

	"dovetail/formats/conf"
)

// seconds reads a time as doveconf prints it.
func seconds(text string) uint64 {
	d, _ := conf.ParseTime(text, conf.V23)
	return uint64(d / time.Second)
}

func (k *checker) auth() {
	if k.number("auth_worker_max_count") == 0 {
		k.fail(k.pos("auth_worker_max_count"), "auth_worker_max_count must be above zero")
	}
	if n := k.number("auth_cache_size"); n > 0 && n < 1024 {
		k.fail(k.pos("auth_cache_size"), "auth_cache_size value is too small ("+strconv.FormatUint(n, 10)+" bytes)")
		k.found.Instead = strconv.FormatUint(n, 10) + "M"
	}
	k.verbosePasswords()
	k.policy()
	for _, b := range k.t.root.inner["passdb"] {
		k.database(b)
		if b.text("pass") == "yes" && b.text("result_success") != "return-ok" {
			k.fail(b.posOf("pass"), "Obsolete pass=yes setting mixed with non-default result_success")
		}
	}
	for _, b := range k.t.root.inner["userdb"] {
		k.database(b)
	}
}

func (k *checker) database(b *block) {
	if b.text("driver") == "" {
		k.fail(b.pos, b.schema.kind()+" is missing driver")
		if b.name != "" {
			k.found.Instead = "driver = " + b.name
		}
	}
}

func (k *checker) verbosePasswords() {
	const key = "auth_verbose_passwords"
	kind, truncate, cut := strings.Cut(k.text(key), ":")
	if n, err := strconv.ParseUint(truncate, 10, 32); cut && (err != nil || n == 0) {
		k.fail(k.pos(key), key+": Invalid truncation number: '"+truncate+"'")
	}
	switch kind {
	case "no", "plain", "sha1", "yes":
	default:
		k.fail(k.pos(key), key+": Invalid value")
	}
}

// digests are the hashes for auth_policy_hash_mech, with their bits.
var digests = map[string]uint64{
	"md4": 128, "md5": 128, "sha1": 160, "sha224": 224, "sha256": 256, "sha384": 384, "sha512": 512,
	"sha3-256": 256, "sha3-512": 512,
}

func (k *checker) policy() {
	if k.text("auth_policy_server_url") == "" {
		return
	}
	if k.text("auth_policy_hash_nonce") == "" {
		k.fail(k.pos("auth_policy_server_url"), "auth_policy_hash_nonce must be set when policy server is used")
	}
	bits, ok := digests[k.text("auth_policy_hash_mech")]
	if !ok {
		k.fail(k.pos("auth_policy_hash_mech"), "invalid auth_policy_hash_mech given")
		return
	}
	if n := k.number("auth_policy_hash_truncate"); n >= bits {
		k.fail(k.pos("auth_policy_hash_truncate"), "policy_hash_truncate is not smaller than digest size ("+
			strconv.FormatUint(n, 10)+" >= "+strconv.FormatUint(bits, 10)+")")
	}
}
