package authconf

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dovetail/auth"
	"dovetail/formats/formatstest/couriersite"
)

// vpopmailSite is a copy of the Courier site whose users/assign has the places of the copy.
func vpopmailSite(t *testing.T) (*couriersite.Site, string) {
	t.Helper()
	site := couriersite.Unpack(t)
	assign := filepath.Join(site.Root, "var/qmail/users/assign")
	text, err := os.ReadFile(assign)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.ReplaceAll(string(text), ":/home/", ":"+site.Root+"/home/"))
	if err := os.WriteFile(assign, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return site, assign
}

// siteConf are the configurations of a vpopmail site, of the time of Dovecot 1.0 and of later.
var siteConf = map[string]string{
	"1.0": `protocols = imap pop3
first_valid_uid = 89
last_valid_uid = 89
mail_location = maildir:~/Maildir
auth default {
  mechanisms = plain
  passdb vpopmail {
    args = home=HOME assign=ASSIGN
  }
  userdb vpopmail {
    args = home=HOME assign=ASSIGN
  }
  user = vpopmail
}
auth_failure_delay = 0
`,
	"2.3": `protocols = imap pop3
first_valid_uid = 89
last_valid_uid = 89
auth_failure_delay = 0
passdb {
  driver = vpopmail
  args = cache_key=%u webmail=127.0.0.1 home=HOME assign=ASSIGN
}
userdb {
  driver = vpopmail
  args = quota_template=quota_rule=*:backend=%q home=HOME assign=ASSIGN
}
`,
}

// Every account of the site, by both protocols, in each kind of list.
func TestR301EveryAccountOfTheCourierSiteAuthenticates(t *testing.T) {
	t.Chdir(t.TempDir())
	site, assign := vpopmailSite(t)
	for name, conf := range siteConf {
		t.Run("R-339 configuration of "+name, func(t *testing.T) {
			s := newSite(t, strings.NewReplacer("HOME", site.Root+"/home/vpopmail", "ASSIGN", assign).Replace(conf), nil)
			everyAccount(t, site, s)
		})
	}
	t.Run("without compiled lists", func(t *testing.T) {
		lists, err := filepath.Glob(filepath.Join(site.Domains(), "*/vpasswd.cdb"))
		if err != nil || len(lists) == 0 {
			t.Fatal(lists, err)
		}
		for _, path := range lists {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		s := newSite(t, strings.NewReplacer("HOME", site.Root+"/home/vpopmail", "ASSIGN", assign).Replace(siteConf["2.3"]), nil)
		everyAccount(t, site, s)
	})
}

func everyAccount(t *testing.T, site *couriersite.Site, s *site) {
	t.Helper()
	service := s.must()
	asked := 0
	for _, name := range site.Names() {
		u := site.Users[name]
		if !strings.Contains(u.Maildir, "vpopmail") {
			continue // of Courier's own lists
		}
		asked++
		for _, protocol := range []string{"imap", "pop3"} {
			allowed := u.IMAPAllowed
			if protocol == "pop3" {
				allowed = u.POP3Allowed
			}
			r := auth.Request{Service: protocol, Remote: netip.MustParseAddrPort("192.0.2.7:4711"), NoPenalty: true}
			reply := service.Login(context.Background(), r, name, u.Password)
			if reply.OK != allowed {
				t.Errorf("%s %s: %+v, want %v\n%s", name, protocol, reply, allowed, s.log.String())
			}
			if !allowed && reply.Code != auth.CodeUserDisabled {
				t.Errorf("%s %s: refused with %q", name, protocol, reply.Code)
			}
			if wrong := service.Login(context.Background(), r, name, u.Password+"x"); wrong.OK {
				t.Errorf("%s %s: a wrong password is accepted", name, protocol)
			}
			if !reply.OK {
				continue
			}
			found, err := service.Finish(context.Background(), reply)
			wantUID, wantGID := uint32(89), uint32(89)
			if err != nil || found.UID != wantUID || found.GID != wantGID || found.Home == "" || found.Allowed() != nil {
				t.Errorf("%s: %+v, %v\n%s", name, found, err, s.log.String())
			}
			if err == nil && !strings.HasSuffix(filepath.Dir("/"+u.Maildir), strings.TrimPrefix(found.Home, site.Root)) {
				t.Errorf("%s: home %s, Maildir %s", name, found.Home, u.Maildir)
			}
		}
	}
	if asked < 15 {
		t.Errorf("only %d accounts of vpopmail", asked)
	}
}

// A domain whose mail belongs to another user than the configuration allows: the login is right, and the mail closed.
func TestR322OtherUidsThanThoseOfVpopmailAreRefused(t *testing.T) {
	site, assign := vpopmailSite(t)
	text, err := os.ReadFile(assign)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(assign, []byte(strings.Replace(string(text), "example.net:89:89:", "example.net:90:89:", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, strings.NewReplacer("HOME", site.Root+"/home/vpopmail", "ASSIGN", assign).Replace(siteConf["1.0"]), nil)
	service := s.must()
	for domain, allowed := range map[string]bool{"example.com": true, "example.net": false} {
		for _, name := range site.Names() {
			if !strings.HasSuffix(name, "@"+domain) || !site.Users[name].IMAPAllowed {
				continue
			}
			found, err := service.User(context.Background(), auth.Request{Service: "imap"}, name)
			if err != nil {
				t.Errorf("%s: %v\n%s", name, err, s.log.String())
				continue
			}
			if err := found.Allowed(); (err == nil) != allowed {
				t.Errorf("%s with uid %d: %v", name, found.UID, err)
			}
		}
	}
}
