package pgsql

import (
	"reflect"
	"strings"
	"testing"
)

func TestR202TheWordsOfConnectAreLibpqs(t *testing.T) {
	got, err := Parse(`host=db1 host = /run/pg port=5433 user='a b' password=it\'s\\ dbname='x\'y' sslmode=verify-full keepalives=1 maxconns=3`)
	words := []Word{{"port", "5433"}, {"user", "a b"}, {"password", `it's\`}, {"dbname", "x'y"}, {"sslmode", "verify-full"}}
	if want := []Config{{Host: "db1", Words: words, Connections: 3}, {Host: "/run/pg", Words: words, Connections: 3}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got[0].Database() != "x'y" {
		t.Errorf("database %q", got[0].Database())
	}
	if _, err := got[1].Connector(); err != nil {
		t.Error(err)
	}
}

func TestR202WhatIsWrongInConnectIsNamed(t *testing.T) {
	for connect, text := range map[string]string{
		"host=h foo=bar":        "pgsql: Unknown connect string: foo",
		"host=h foo":            "pgsql: Missing value in connect string: foo",
		"host=h password='x":    "pgsql: Unterminated quoted string in connect string",
		"host=h maxconns=x":     "pgsql: Invalid value for maxconns: x",
		"host=h sslcrl=/x":      "pgsql: Unknown connect string: sslcrl",
		"host=h requirepeer=me": "pgsql: Unknown connect string: requirepeer",
	} {
		if _, err := Parse(connect); err == nil || err.Error() != text {
			t.Errorf("%s: got %v, want %s", connect, err, text)
		}
	}
	for _, connect := range []string{"host=h port=x", "host=h sslmode=maybe", "host=h sslmode=verify-ca sslrootcert=/nope", "host=h connect_timeout=x", "host=h ssl_min_protocol_version=SSLv2"} {
		list, err := Parse(connect + " password=se$cret")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := list[0].Connector(); err == nil || strings.Contains(err.Error(), "se$cret") {
			t.Errorf("%s: got %v", connect, err)
		} else {
			t.Logf("%s: %v", connect, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`host=a host=b user='u v' password=p\' sslmode=disable port=1`)
	f.Fuzz(func(t *testing.T, connect string) {
		list, err := Parse(connect)
		if err != nil {
			return
		}
		for _, c := range list {
			for _, w := range c.Words {
				if !known[w.Key] {
					t.Errorf("%q gives %q", connect, w.Key)
				}
			}
		}
	})
}
