package options

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"dovetail/serve/config"
)

// all are the structs that are read, without those inside them.
var all = []any{IMAP{}, POP3{}, LMTP{}, Submission{}, Delivery{}, ManageSieve{}, Log{}, TLS{}, Login{}, AuthRules{}, AuthPolicy{}, Users{}, Master{}, Storage{},
	Mbox{}, Mdbox{}, Admin{}, Replication{}, Service{}, Namespace{}, Features{}, Quota{}, PassDB{}, UserDB{}}

// readings collects the settings that the fields of a struct name.
func readings(t reflect.Type, into map[string]bool) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		readings(t.Elem(), into)
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			for name := range strings.SplitSeq(f.Tag.Get("set"), ",") {
				into[name] = true
			}
			into[strings.TrimPrefix(f.Tag.Get("v24"), "!")] = true
			readings(f.Type, into)
		}
	}
}

// elsewhere are obeyed settings that are no option, with who obeys them.
var elsewhere = map[string]string{
	"dovecot_config_version":                "the reader: chooses the dialect",
	"dovecot_storage_version":               "the reader: accepted where it must be",
	"service auth-worker { process_limit }": "serve/authconf: how many lookups block at a time",
	"service":                               "ReadServices", "inet_listener": "ReadServices", "unix_listener": "ReadServices", "fifo_listener": "ReadServices",
}

func TestEveryObeyedSettingIsReadBySomeOption(t *testing.T) {
	read := map[string]bool{}
	for _, o := range all {
		readings(reflect.TypeOf(o), read)
	}
	for _, s := range config.Settings() {
		if s.Fate != config.Obeyed || read[s.Name23] && s.Name23 != "" || read[s.Name24] && s.Name24 != "" {
			continue
		}
		if why := elsewhere[s.Name24]; why != "" {
			t.Logf("%s: %s", s.Name24, why)
			continue
		}
		if name, in23 := in24(s.Name24); in23 && read[name] {
			continue
		}
		t.Errorf("nobody reads %q, in 2.4 %q", s.Name23, s.Name24)
	}
}

// in24 finds the name in 2.3 of a setting that 2.4 only calls otherwise.
func in24(name string) (name23 string, ok bool) {
	for _, s := range config.Settings() {
		if s.Name23 != "" && name != "" && (s.Name24 == name || strings.HasPrefix(s.Name24, name+" ")) {
			return s.Name23, true
		}
	}
	return "", false
}

// ofPlaces say where mail is that is there already; new mail does not obey them
// yet.
var ofPlaces = []string{"mail_attachment_dir", "mail_ext_attachment_path", "mailbox_list_storage_escape_char"}

func TestEveryOptionNamesSettingsThatAreObeyed(t *testing.T) {
	known := map[string]config.Fate{}
	for _, s := range config.Settings() {
		for _, name := range []string{s.Name23, s.Name24} {
			if known[name] != config.Obeyed {
				known[name] = s.Fate
			}
		}
	}
	read := map[string]bool{}
	for _, o := range all {
		readings(reflect.TypeOf(o), read)
	}
	for name := range read {
		if name != "" && name != "-" && known[name] != config.Obeyed && !slices.Contains(ofPlaces, name) {
			t.Errorf("%s is %q", name, known[name])
		}
	}
}

func TestEveryOptionHasASettingOfItsTypeInBothDialects(t *testing.T) {
	for _, text := range []string{"", "dovecot_config_version = 2.4.4\ndovecot_storage_version = 2.4.4\n"} {
		v := view(t, text)
		for _, read := range []func(config.View) error{
			tried[IMAP], tried[POP3], tried[LMTP], tried[Delivery], tried[ManageSieve], tried[Log], tried[TLS], tried[Login], tried[AuthRules], tried[AuthPolicy],
			tried[Users], tried[Master], tried[Storage], tried[Mbox], tried[Mdbox], tried[Admin], tried[Replication],
		} {
			if err := read(v); err != nil {
				t.Errorf("%v: %v", v.Dialect, err)
			}
		}
	}
}

func tried[T any](v config.View) error {
	_, err := Read[T](v)
	return err
}
