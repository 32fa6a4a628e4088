package authconf

import (
	"fmt"
	"strings"
	"testing"
)

const passdbs = `passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u DIR/a
  %s
}
passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u DIR/b
  %s
}
userdb {
  driver = static
  args = uid=8 gid=8 home=/tmp
}
`

func TestRulesOfChainsMeanWhatTheyDoInDovecot(t *testing.T) {
	files := map[string]string{
		"a": "u1:pa::::::fa=1\nu2:pa\n",
		"b": "u1:pb::::::fb=1\nu3:pb\n",
	}
	for _, c := range []struct{ a, b string }{
		{"", ""},
		{"result_success = continue", ""},
		{"pass = yes", ""},
		{"result_success = continue-ok", ""},
		{"result_success = continue-fail", ""},
		{"result_success = return", ""},
		{"result_success = return-fail", ""},
		{"result_failure = return", ""},
		{"result_failure = return-fail", ""},
		{"result_failure = return-ok", ""},
		{"result_failure = continue-ok", ""},
		{"deny = yes", ""},
		{"result_success = continue-ok", "skip = authenticated"},
		{"result_success = continue-ok", "skip = unauthenticated"},
		{"skip = unauthenticated", ""},
		{"mechanisms = cram-md5", ""},
		{"username_filter = u1 x*", ""},
		{"username_filter = !u1", ""},
		{"result_success = continue-ok", "result_failure = return-fail"},
	} {
		t.Run(strings.TrimSpace(c.a+" then "+c.b), func(t *testing.T) {
			t.Parallel()
			var all attempts
			for _, user := range []string{"u1", "u2", "u3", "u4"} {
				all = append(all, "test "+user+" pa", "test "+user+" pb")
			}
			newBeside(t, fmt.Sprintf(passdbs, c.a, c.b), files).compare(append(all, "test u1 pc"))
		})
	}
}

func TestFieldsMeanWhatTheyDoInDovecot(t *testing.T) {
	for _, c := range []struct {
		name, a, b string // settings of the passdbs
		fields     string // of u1 in the first one
		ask        attempts
	}{
		{"allow_nets", "", "", "allow_nets=10.0.0.0/8,11.1.2.3 fa=1", attempts{"test u1 pa"}},
		{"allow_nets elsewhere", "", "", "allow_nets=10.0.0.0/8,local fa=1", attempts{"test u1 pa", "test u1 pb", "lookup u1"}},
		{"allow_nets that is none", "", "", "allow_nets=10.0.0.0/99,x,11.1.2.0/24", attempts{"test u1 pa"}},
		{"allow_nets of IPv4 in IPv6", "", "", "allow_nets=::ffff:11.1.2.3", attempts{"test u1 pa"}},
		{"allow_real_nets", "", "", "allow_real_nets=11.1.2.4", attempts{"test u1 pa"}},
		{"nologin", "", "", "nologin reason=Later", attempts{"test u1 pa", "test u1 px", "lookup u1"}},
		{"nologin with a value", "", "", "nologin=y host=h port=1143", attempts{"test u1 pa", "test u1 px"}},
		{"proxy", "", "", "proxy host=127.0.0.1 port=1143 nopassword=y", attempts{"test u1 px"}},
		{"user", "", "", "user=uu", attempts{"test u1 pa", "test u1 px", "login u1 pa", "lookup u1"}},
		{"user for the next passdb", "result_success = continue", "", "user=u3", attempts{"test u1 pa", "lookup u1"}},
		{"user of a passdb that refuses", "", "", "user=u3", attempts{"test u1 pb"}},
		{"username", "", "", "username=uu", attempts{"test u1 pa"}},
		{"username with a domain", "", "", "username=uu@b", attempts{"test u1 pa"}},
		{"domain", "", "", "domain=dd", attempts{"test u1 pa"}},
		{"an empty name", "", "", "user=", attempts{"test u1 pa"}},
		{"fail", "", "", "fail", attempts{"test u1 pa", "test u1 pb"}},
		{"delay_until in the past", "", "", "delay_until=1000", attempts{"test u1 pa"}},
		{"delay_until too far ahead", "", "", "delay_until=4000000000", attempts{"test u1 pa"}},
		{"delay_until that is none", "", "", "delay_until=x", attempts{"test u1 pa"}},
		{"delay_until with no number of seconds", "", "", "delay_until=1000+x", attempts{"test u1 pa"}},
		{"noauthenticate", "", "", "noauthenticate fa=1", attempts{"test u1 pb", "test u1 pa", "test u2 pa"}},
		{"noauthenticate in the last one", "", "default_fields = noauthenticate=y", "fa=1", attempts{"test u1 pb", "test u1 pa", "test u4 pa"}},
		{"nopassword beside a password", "", "", "nopassword", attempts{"test u1 pa", "test u1 px"}},
		{"nopassword for one passdb only", "result_success = continue-ok", "", "fa=1", attempts{"test u9 px"}},
		{"a default field that is there", "default_fields = fa=9 fz=9", "", "fa=1", attempts{"test u1 pa", "test u1 pb", "lookup u1"}},
		{"override fields", "override_fields = fa=7 y:protected=2 fa:protected=8 x=%u,%n,%d", "", "fa=1", attempts{"test u1 pa", "lookup u1"}},
		{"a removed field", "override_fields = fa:remove=y", "", "fa=1 fb=2", attempts{"test u1 pa"}},
		{"fields of the next one from this one's", "result_success = continue-ok", "override_fields = z=%{passdb:fa}", "fa=1", attempts{"test u1 pa"}},
		{"fields for the userdb", "", "", "userdb_uid=1001 userdb_gid=1002 userdb_x=5 userdb_home=/h/%u", attempts{"login u1 pa", "test u1 pa"}},
		{"an unknown variable", "override_fields = z=%{nosuch}", "", "fa=1", attempts{"test u1 pa", "test u4 pa", "lookup u1"}},
		{"an unknown variable before", "default_fields = z=%{nosuch}", "", "fa=1", attempts{"test u1 pa", "lookup u1"}},
		{"two passwords", "default_fields = password=x", "", "fa=1", attempts{"test u1 pa"}},
		{"a deny list for lookups", "deny = yes", "", "fa=1", attempts{"lookup u1", "lookup u3", "user u1", "user u3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conf := fmt.Sprintf(passdbs, c.a, c.b)
			newBeside(t, conf, map[string]string{
				"a": "u1:pa::::::" + c.fields + "\nu2:pa\nu9:::::::nopassword\n",
				"b": "u1:pb::::::fb=1\nu3:pb::::::fc=1\nu9:::::::\n",
			}).compare(c.ask)
		})
	}
}

func TestMasterUsersAreThoseOfDovecot(t *testing.T) {
	const separator = "auth_master_user_separator = *\n"
	master := func(more string) string {
		return "passdb {\n  driver = passwd-file\n  args = scheme=PLAIN DIR/masters\n  master = yes\n  " + more + "\n}\n"
	}
	for _, c := range []struct {
		name, conf string
	}{
		{"with pass=yes", separator + master("pass = yes")},
		{"with continue", separator + master("result_success = continue")},
		{"alone", separator + master("")},
		{"none", separator},
		{"no separator", master("pass = yes")},
		{"two of them", separator + master("username_filter = boss2\n  pass = yes") + master("pass = yes")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			newBeside(t, c.conf+fmt.Sprintf(passdbs, "", ""), map[string]string{
				"masters": "boss:bp::::::fm=1\nboss2:bp\n",
				"a":       "u1:pa::::::fa=1\nu2:pa\n",
				"b":       "u3:pb\n",
			}).compare(attempts{"test u1*boss bp", "test nosuch*boss bp", "test u1*boss bx", "test u1*nosuch bp", "test boss bp", "login u1*boss bp",
				"test u3*boss2 bp", "test *boss bp", "test boss*boss bp", "test u1* pa", "test U3*boss bp"})
		})
	}
}

func TestNamesBecomeWhatTheyDoInDovecot(t *testing.T) {
	for _, c := range []struct {
		name, conf string
		ask        attempts
	}{
		{"as they are", "", attempts{"test U1 p", "test u1 p", "user U1", "user u1"}},
		{"in lower case", "auth_username_format = %Lu\n", attempts{"test U1 p", "test U1@D p", "user U1", "user U1@D", "lookup U1"}},
		{"without the domain", "auth_username_format = %n\n", attempts{"test u1@d p", "user u1@d", "test @d p", "user @d"}},
		{"with a default realm", "auth_default_realm = d\n", attempts{"test u1 p", "test u1@x p", "user u1", "lookup u1"}},
		{"translated", "auth_username_translation = %@Zz\n", attempts{"test u1%d p", "test Z1 p", "user u1%d"}},
		{"of few characters", "auth_username_chars = abcdu1@\n", attempts{"test u1 p", "test u1@d p", "test U1 p", "test z1 p", "user z1"}},
		{"translated to what is refused", "auth_username_chars = u1\nauth_username_translation = 1z\n", attempts{"test u1 p"}},
		{"the realm first, then the characters", "auth_username_chars = u1d\nauth_default_realm = d\n", attempts{"test u1 p"}},
		{"of any characters", "auth_username_chars =\n", attempts{"test o'brien p", "test ')or(1=1 p", "user o'brien", "test ü p"}},
		{"of the default characters", "", attempts{"test o'brien p", "test a*b p", "user o'brien", "test ü p"}},
		{"with the service in them", "auth_username_format = %u-%s-%{orig_user}-%r\n", attempts{"test u1 p"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list := ""
			for _, name := range []string{"u1", "u1@d", "z1", "\\'o", "o\\'brien"} {
				list += name + ":{PLAIN}p:8:8::/h/" + strings.Trim(name, "\\'") + "\n"
			}
			newBeside(t, c.conf+"passdb {\n  driver = passwd-file\n  args = DIR/a\n}\nuserdb {\n  driver = passwd-file\n  args = DIR/a\n}\n",
				map[string]string{"a": list}).compare(c.ask)
		})
	}
}

const userdbs = `passdb {
  driver = passwd-file
  args = scheme=PLAIN username_format=%%u DIR/p
}
userdb {
  driver = %s
  %s
}
userdb {
  driver = passwd-file
  args = username_format=%%u DIR/b
  %s
}
`

func TestUserdbsMeanWhatTheyDoInDovecot(t *testing.T) {
	for _, c := range []struct{ name, driver, a, b string }{
		{"the first that knows the user", "passwd-file", "", ""},
		{"merged", "passwd-file", "result_success = continue-ok", ""},
		{"continue", "passwd-file", "result_success = continue", ""},
		{"continue-fail", "passwd-file", "result_success = continue-fail", ""},
		{"return-fail", "passwd-file", "result_success = return-fail", ""},
		{"failure is the end", "passwd-file", "result_failure = return-fail", ""},
		{"failure is success", "passwd-file", "result_failure = return-ok", ""},
		{"the second is not needed", "passwd-file", "result_success = continue-ok", "skip = found"},
		{"the second is for those of the first", "passwd-file", "result_success = continue-ok", "skip = notfound"},
		{"default fields", "passwd-file", "default_fields = home=/d/%u fa=9 fz=9", ""},
		{"override fields", "passwd-file", "override_fields = home=/o/%u uid=mail fa:protected=4 fy:protected=4", ""},
		{"prefetch", "prefetch", "", ""},
		{"prefetch with more", "prefetch", "result_success = continue-ok", "override_fields = o=1"},
		{"an unknown variable", "passwd-file", "override_fields = o=%{nosuch}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := c.a
			if c.driver == "passwd-file" {
				a += "\n  args = username_format=%u DIR/a"
			}
			newBeside(t, fmt.Sprintf(userdbs, c.driver, a, c.b), map[string]string{
				"p": "u1:p::::::userdb_uid=7 userdb_pre=1 userdb_home=/p/u1\nu2:p\nu3:p\nu4:p\nu5:p::::::userdb_userdb_import=x\n",
				"a": "u1:x:1001:1001::/a/u1::userdb_fa=1 userdb_both=a\nu2:x:1002:1002::/a/u2::userdb_fa=2\nu6:x:8:8::/a::userdb_user=u7\n" +
					"u5:x:8:8::/a::userdb_tempfail=yes\nu8:x:8:8::/a::userdb_gid=nosuch\n",
				"b": "u1:x:2001:2001::/b/u1::userdb_fb=1 userdb_both=b\nu3:x:2003:2003::/b/u3::userdb_fb=3\n",
			}).compare(attempts{"user u1", "user u2", "user u3", "user u4", "user u5", "user u6", "user u8", "login u1 p", "login u2 p", "login u3 p", "login u4 p"})
		})
	}
}
