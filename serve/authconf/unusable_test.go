package authconf

import "testing"

// Stored passwords that none fits: locked accounts, hashes that are none or elsewhere, nothing at all.
func TestPasswordsThatNoneFitsAreToldAsDovecotDoes(t *testing.T) {
	users := "x:x:1:1\nstar:*:1:1\nbang:!:1:1\ntwo:!!:1:1\nempty::1:1\nname\nlocked:!$6$abcdefgh$x:1:1\nlock2:*LK*:1:1\nshort:ab:1:1\nodd:$9$abc$def:1:1\n" +
		"sha:{SHA512-CRYPT}x:1:1\nblf:{BLF-CRYPT}x:1:1\nnothing:{CRYPT}:1:1\nssha:{SSHA}x:1:1\nargon:{ARGON2ID}x:1:1\nmd5:{MD5-CRYPT}x:1:1\nnosuch:{NoSuch}x:1:1\nlower:{ssha.b64}x:1:1\nplain:{PLAIN}:1:1\n"
	b := newBeside(t, "passdb {\n  driver = passwd-file\n  args = scheme=CRYPT DIR/users\n}\nuserdb {\n  driver = static\n  args = uid=1 gid=1 home=/ allow_all_users=yes\n}\n",
		map[string]string{"users": users})
	var list attempts
	for _, user := range []string{"x", "star", "bang", "two", "empty", "name", "locked", "lock2", "short", "odd", "sha", "blf", "nothing", "ssha", "argon", "md5", "nosuch", "lower", "plain"} {
		list = append(list, "test "+user+" secret")
	}
	b.compare(list)
}
