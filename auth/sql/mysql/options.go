package mysql

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// options reads the client's group of an option file of MySQL's, for what the connect setting does not say:
//
//	[client]
//	user = dovecot          # "-" and "_" in names are the same
//	password = "se cret"    quotes around a value are not part of it
//	!include FILE           is not followed
func (c *Config) options() error {
	b, err := os.ReadFile(c.OptionFile)
	if err != nil {
		return fmt.Errorf("mysql: option_file: %w", err)
	}
	group := c.OptionGroup
	if group == "" {
		group = "client"
	}
	in := false
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", line[0] == '#', line[0] == ';', line[0] == '!':
		case line[0] == '[':
			in = strings.Trim(line, "[] \t") == group
		case in:
			key, value, _ := strings.Cut(line, "=")
			c.option(strings.ReplaceAll(strings.TrimSpace(key), "_", "-"), unquote(strings.TrimSpace(value)))
		}
	}
	return nil
}

// option takes one line; what the connect setting says counts.
func (c *Config) option(key, value string) {
	or := func(to *string) {
		if *to == "" {
			*to = value
		}
	}
	switch key {
	case "host":
		or(&c.Host)
	case "socket":
		if c.Host == "" || c.Host == "localhost" {
			c.Host = value
		}
	case "port":
		if n, err := strconv.ParseUint(value, 10, 16); err == nil && c.Port == 0 {
			c.Port = int(n)
		}
	case "user":
		or(&c.User)
	case "password":
		or(&c.Password)
	case "database":
		or(&c.Database)
	case "ssl-ca":
		or(&c.CA)
	case "ssl-capath":
		or(&c.CAPath)
	case "ssl-cert":
		or(&c.Cert)
	case "ssl-key":
		or(&c.Key)
	case "ssl-cipher":
		or(&c.Cipher)
	case "ssl":
		c.TLS = c.TLS || value != "0" && value != "OFF"
	}
}

func unquote(s string) string {
	if n := len(s); n > 1 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	if before, _, ok := strings.Cut(s, " #"); ok {
		return strings.TrimSpace(before)
	}
	return s
}
