package options

import (
	"testing"
	"testing/fstest"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

func TestServerNamesHaveTheirOwnCertificates(t *testing.T) {
	c, src := seed(t, "proxy-and-sni.conf")
	names, err := ReadServerNames(c, config.Filter{})
	if err != nil || len(names) != 1 || names[0].Names[0] != "imap.example.org" {
		t.Fatal(names, err)
	}
	all, err := Read[TLS](c.For(config.Filter{}))
	for _, f := range []struct {
		file File
		path string
	}{{all.Cert, "/tls/server.crt"}, {all.Key, "/tls/server.key"}, {names[0].TLS.Cert, "/tls/org.crt"}, {names[0].TLS.Key, "/tls/org.key"}} {
		b, err := f.file.Read(src)
		if f.file.Path != f.path || err != nil || string(b) != "PEM of "+f.path[1:] {
			t.Errorf("%+v has %q, %v, want %s", f.file, b, err, f.path)
		}
	}
	if err != nil || all.Mode != "yes" || names[0].TLS.MinProtocol != "TLSv1.2" {
		t.Error(all.Mode, err)
	}
}

func TestANameIsLookedForBeforeNamesWithStars(t *testing.T) {
	for _, text := range []string{
		"local_name a.example.org {\n ssl_key_password = y\n}\nlocal_name *.example.org {\n ssl_key_password = x\n}\n",
		"dovecot_config_version = 2.4.4\ndovecot_storage_version = 2.4.4\nlocal_name *.example.org {\n ssl_server_key_password = x\n}\n" +
			"local_name a.example.org {\n ssl_server_key_password = y\n}\n",
	} {
		c := load(t, text, nil)
		names, err := ReadServerNames(c, config.Filter{})
		if err != nil || len(names) != 2 || names[0].Names[0] != "a.example.org" || names[0].TLS.KeyPassword != "y" || names[1].TLS.KeyPassword != "x" {
			t.Errorf("%+v, %v", names, err)
		}
	}
}

func TestAFileIsReadWhenAskedSoThatARenewedOneIsSeen(t *testing.T) {
	files := fstest.MapFS{"etc/c.pem": {Data: []byte("old")}}
	c := load(t, "ssl_cert = <etc/c.pem\n", files)
	tls, err := Read[TLS](c.For(config.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	files["etc/c.pem"] = &fstest.MapFile{Data: []byte("renewed")}
	b, err := tls.Cert.Read(conf.In{FS: files})
	if string(b) != "renewed" || err != nil {
		t.Errorf("%q, %v of %+v", b, err, tls.Cert)
	}
}
