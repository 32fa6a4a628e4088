package variable

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// crypting is %{encrypt;options:name} or %{decrypt;options:name} of 2.x, which
// the plug-in var_expand_crypt adds. Options: algo, key and iv in hexadecimal
// (both may hold variables), noiv=yes, format=hex or base64. The result of
// encrypt, which decrypt reads, is iv$data$, with noiv the data alone.
type crypting struct {
	decrypt bool
	of      source
	method  method
	key, iv *Template
	bare    bool
	base64  bool
}

func (p *parser23) crypt(function, options, of string) (source, error) {
	c := &crypting{decrypt: function == "decrypt"}
	var err error
	if c.of, err = p.long(of); err != nil {
		return nil, err
	}
	algo := "AES-256-CBC"
	for option := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(option, "=")
		switch key {
		case "iv":
			c.iv, err = p.template(value)
		case "key":
			c.key, err = p.template(value)
		case "noiv":
			c.bare = strings.EqualFold(value, "yes")
		case "algo":
			algo = value
		case "format":
			c.base64 = value == "base64"
			if value != "hex" && value != "base64" {
				err = errors.New("Cannot parse hash arguments:'" + value + "' is not supported format")
			}
		}
		if err != nil {
			return nil, err
		}
	}
	c.method, err = newMethod(algo)
	return c, err
}

func (c *crypting) get(l Lookup) (string, error) {
	value, err := c.of.get(l)
	if err != nil || value == "" {
		return "", err
	}
	key, err := fromHexTemplate(c.key, l)
	if err != nil {
		return "", err
	}
	iv, err := fromHexTemplate(c.iv, l)
	if err != nil {
		return "", err
	}
	if c.decrypt {
		value, err = c.open(key, iv, value)
	} else {
		value, err = c.seal(key, iv, value)
	}
	if err != nil {
		return "", fmt.Errorf("crypt: %w", err)
	}
	return value, nil
}

// fromHexTemplate decodes as much as is hexadecimal.
func fromHexTemplate(t *Template, l Lookup) (string, error) {
	if t == nil {
		return "", nil
	}
	text, err := t.Expand(l)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return "", err
	}
	b, _ := hex.DecodeString(text)
	return string(b), nil
}

func (c *crypting) seal(key, iv, value string) (string, error) {
	if iv == "" {
		iv = c.method.random()
	}
	data, err := c.method.encrypt(key, iv, value)
	if err != nil || c.bare {
		return c.encode(data), err
	}
	return c.encode(iv) + "$" + c.encode(data) + "$", nil
}

func (c *crypting) open(key, iv, value string) (string, error) {
	data := value
	if before, after, found := strings.Cut(value, "$"); iv == "" && found {
		iv = c.decode(before)
		data, _, _ = strings.Cut(after, "$")
	}
	if iv == "" {
		return "", errors.New("decrypt: IV missing")
	}
	return c.method.decrypt(key, iv, c.decode(data))
}

func (c *crypting) encode(s string) string {
	if c.base64 {
		return base64.StdEncoding.EncodeToString([]byte(s))
	}
	return hex.EncodeToString([]byte(s))
}

func (c *crypting) decode(s string) string {
	if c.base64 {
		b, _ := base64.StdEncoding.DecodeString(s)
		return string(b)
	}
	b, _ := hex.DecodeString(s)
	return string(b)
}
