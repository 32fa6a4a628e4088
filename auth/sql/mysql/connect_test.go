package mysql

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func TestR202EveryWordOfConnectIsKnown(t *testing.T) {
	got, err := Parse("host=db1  host=/run/my.sock port=3307 user=u password=p=q dbname=d client_flags=65536 ssl_ca=/ca ssl_ca_path=/cas ssl_cert=/c ssl_key=/k " +
		"ssl_cipher=HIGH ssl_verify_server_cert=no option_file=/o option_group=g connect_timeout=1 read_timeout=2 write_timeout=3 maxconns=4")
	one := Config{Server: Server{Host: "db1", Port: 3307, User: "u", Password: "p=q", Database: "d"}, Flags: 65536, Connect: time.Second, Read: 2 * time.Second, Write: 3 * time.Second,
		OptionFile: "/o", OptionGroup: "g", CA: "/ca", CAPath: "/cas", Cert: "/c", Key: "/k", Cipher: "HIGH", AnyHost: true, Connections: 4}
	two := one
	two.Host = "/run/my.sock"
	if want := []Config{one, two}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	got, err = Parse("host=h")
	if want := []Config{{Server: Server{Host: "h"}, Connect: 5 * time.Second, Read: 30 * time.Second, Write: 30 * time.Second}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestR202WhatIsWrongInConnectIsNamed(t *testing.T) {
	for _, c := range []struct{ connect, text string }{
		{"host=h foo=bar", "mysql: Unknown connect string: foo"},
		{"host=h foo", "mysql: Missing value in connect string: foo"},
		{"user=u", "mysql: No hosts given in connect string"},
		{"host=h port=x", "mysql: Invalid port number: x"},
		{"host=h port=65536", "mysql: Invalid port number: 65536"},
		{"host=h ssl_verify_server_cert=maybe", "mysql: Invalid boolean: maybe"},
		{"host=h client_flags=-1", "mysql: Invalid client flags: -1"},
		{"host=h read_timeout=soon", "mysql: Invalid read_timeout: soon"},
		{"host=h maxconns=many", "mysql: Invalid value for maxconns: many"},
	} {
		if _, err := Parse(c.connect); err == nil || err.Error() != c.text {
			t.Errorf("%s: got %v, want %s", c.connect, err, c.text)
		}
	}
}

func TestAnOptionFileSaysWhatConnectDoesNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "my.cnf")
	if err := os.WriteFile(path, []byte("# for all\n[mysqld]\nport=1\n[client]\nuser = 'reader'  \npassword=\"se cret\"\nport=3308 # ours\nssl_ca=/ca\nhost=db\n[other]\nuser=x\n!include /nope\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := Config{Server: Server{Port: 3307}, OptionFile: path}
	if err := c.options(); err != nil {
		t.Fatal(err)
	}
	if want := (Config{Server: Server{Host: "db", Port: 3307, User: "reader", Password: "se cret"}, CA: "/ca", OptionFile: path}); !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v, want %+v", c, want)
	}
	c = Config{OptionFile: path, OptionGroup: "other"}
	if err := c.options(); err != nil || c.User != "x" || c.Host != "" {
		t.Errorf("group other: %+v, %v", c, err)
	}
}

func TestCiphersAreChosenByOpenSSLsNames(t *testing.T) {
	for list, want := range map[string]int{"HIGH": 0, "": 0, "ECDHE-RSA-AES128-GCM-SHA256": 1, "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384": 2, "ECDHE-RSA-CHACHA20-POLY1305": 1} {
		if got := suites(list); len(got) != want {
			t.Errorf("%s: %v", list, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("host=a host=b user=u password=p ssl_ca=/x port=1")
	f.Fuzz(func(t *testing.T, connect string) {
		list, err := Parse(connect)
		if err == nil && len(list) == 0 {
			t.Errorf("%q gives nothing", connect)
		}
	})
}
