package vpopmail

import (
	"path/filepath"
	"reflect"
	"testing"
)

// site is a mail site's accounts, taken from one that vpopmail's rules were checked on.
const site = "testdata/site"

func TestUsersAssign(t *testing.T) {
	com := Domain{Name: "example.com", Real: "example.com", UID: 89, GID: 89, Dir: "/home/vpopmail/domains/example.com"}
	net := Domain{Name: "example.net", Real: "example.net", UID: 89, GID: 89, Dir: "/home/vpopmail/domains/example.net"}
	org := com
	org.Name = "example.org"
	for _, name := range []string{"assign", "cdb"} {
		got, problems, err := ReadAssign(filepath.Join(site, "var/qmail/users", name))
		if err != nil || len(problems) > 0 || !reflect.DeepEqual(got, []Domain{com, net, org}) {
			t.Errorf("%s: got %+v, problems %v, %v", name, got, problems, err)
		}
	}
	if com.Alias() || !org.Alias() {
		t.Error("example.org is the alias")
	}
}

// all collects the accounts and problems of a domain.
func all(t *testing.T, d Domain) (accounts []Account, problems []string) {
	t.Helper()
	for a, err := range Accounts(d) {
		if err != nil {
			problems = append(problems, err.Error())
			continue
		}
		accounts = append(accounts, a)
	}
	return accounts, problems
}

func TestAccountsOfTheSite(t *testing.T) {
	accounts, problems := all(t, Domain{Real: "example.com", Dir: site + "/home/vpopmail/domains/example.com"})
	if len(accounts) != 14 || len(problems) > 0 {
		t.Fatalf("%d accounts, problems %q", len(accounts), problems)
	}
	want := Account{
		Name: "heidi", Domain: "example.com", Hash: "$1$ab402397$nrR3V9VjWBcvWg21roBQp/", Clear: "heidipw", PwUID: 1,
		Gecos: "Heidi Quota", Dir: "/home/vpopmail/domains/example.com/0/heidi", Quota: "10485760S,1000C",
	}
	if accounts[9] != want {
		t.Errorf("got %+v", accounts[9])
	}
	if accounts[10].Flags != NoIMAP || accounts[12].Flags != NoPOP || accounts[13].Flags != QAAdmin {
		t.Errorf("flags of %+v", accounts[10:])
	}
}
