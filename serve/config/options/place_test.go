package options

import (
	"testing"

	"dovetail/formats/conf/variable"
	"dovetail/formats/location"
)

var ann = variable.Values(map[string]string{"user": "ann@example.org", "u": "ann@example.org", "n": "ann", "d": "example.org"})

func TestPlaceOfOneUser(t *testing.T) {
	const v24 = "dovecot_config_version = 2.4.4\ndovecot_storage_version = 2.4.4\n"
	for _, c := range []struct{ name, text, want string }{
		{"a Maildir in the home directory", "mail_location = maildir:~/Maildir", "maildir:/home/ann/Maildir"},
		{"variables in all paths", "mail_location = sdbox:/m/%d/%n:INDEX=/i/%u:ALT=/a/%n/", "sdbox:/m/example.org/ann:INDEX=/i/ann@example.org:ALT=/a/ann"},
		{"colons", "mail_location = mbox:/m::x:INBOX=/var/mail/%n", "mbox:/m::x:INBOX=/var/mail/ann"},
		{"a hash only 2.3 has", "mail_location = mdbox:/m/%2.256Hu/%n", "mdbox:/m/97/ann"},
		{"layout and names", "mail_location = maildir:/m/%n:LAYOUT=fs:UTF-8:LISTINDEX=x", "maildir:/m/ann:LAYOUT=fs:UTF-8:LISTINDEX=x"},
		{"no format", "mail_location = ~/mail", "/home/ann/mail"},
		{"2.4", v24 + "mail_driver = sdbox\nmail_path = ~/%{user | domain}\nmail_index_path = /i", "sdbox:/home/ann/example.org:INDEX=/i"},
		{"2.4 with a home of the configuration", v24 + "mail_driver = maildir\nmail_path = %{home}/Maildir", "maildir:/home/ann/Maildir"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lookup := func(name string) (string, error) {
				if name == "home" || name == "h" {
					return "/home/ann", nil
				}
				return ann(name)
			}
			l, err := ReadPlace(view(t, c.text)).Location(lookup, "/home/ann")
			want, _ := location.Parse(c.want, location.Vars{})
			if err != nil || l.String() != want.String() {
				t.Errorf("%s, %v, want %s", l, err, want)
			}
		})
	}
}

func TestColonsInsideAVariableDoNotEndAPart(t *testing.T) {
	if p := ParsePlace("mbox:%{md5:user}:INBOX=/x"); p.Inbox.Text != "/x" {
		t.Errorf("%+v", p)
	}
}

func TestPlaceOfAnUnknownVariableIsAnError(t *testing.T) {
	if l, err := ReadPlace(view(t, "mail_location = maildir:/m/%{nothing}")).Location(ann, "/h"); err == nil {
		t.Error(l)
	}
}

func TestNamespaceHasThePlaceOfAllMailUnlessItsOwn(t *testing.T) {
	v := view(t, "mail_location = maildir:~/M\nnamespace a {\n inbox = yes\n}\nnamespace b {\n prefix = b/\n location = mbox:/b\n}\nnamespace c {\n prefix = c/\n disabled = yes\n}")
	list, err := ReadNamespaces(v)
	if err != nil || len(list) != 2 || list[0].Place.Driver != "maildir" || list[1].Place.Root.Text != "/b" {
		t.Errorf("%+v, %v", list, err)
	}
}
