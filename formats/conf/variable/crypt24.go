package variable

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// sealed are the arguments of encrypt and decrypt in 2.4: algorithm, key, iv
// or salt, hash, rounds, raw. Without an iv, key and iv are made of the key,
// which is a password then, by PBKDF2. The value is "iv$data$" or
// "s=salt,r=rounds$data$", hexadecimal; with raw=1 it is the data alone.
type sealed struct {
	method    method
	key, iv   string
	ivSet     bool
	salt      string
	saltSet   bool
	raw       bool
	rounds    int64
	hash      func() hash.Hash
	algorithm string
}

// crypt is the filter encrypt or decrypt.
func crypt(name string) filter {
	return func(s *state, args []argument) error {
		c := &sealed{rounds: 10_000, hash: hashes["sha256"], algorithm: "AES-256-CBC"}
		for _, a := range args {
			if err := c.argument(s, a); err != nil {
				return err
			}
		}
		if c.key == "" {
			return errors.New("Encryption key missing")
		}
		if err := s.need(name); err != nil {
			return err
		}
		data := s.value
		if name == "decrypt" && !c.raw {
			var err error
			if data, err = c.split(s.value); err != nil {
				return err
			}
		}
		if c.raw && !c.ivSet && !c.saltSet {
			return errors.New("In raw format, salt or IV must be given")
		}
		if err := c.prepare(); err != nil {
			return err
		}
		if name == "decrypt" {
			return c.open(s, data)
		}
		return c.seal(s, data)
	}
}

// argument takes one argument.
func (c *sealed) argument(s *state, a argument) (err error) {
	switch a.key {
	case "":
		return errTooMany
	case "algorithm":
		c.algorithm, err = s.text(a)
	case "key":
		if c.key, err = s.text(a); err == nil && c.key == "" {
			err = errors.New("Empty encryption key")
		}
	case "iv":
		c.ivSet = true
		if c.iv, err = s.text(a); err == nil {
			c.iv, err = unhex(c.iv, "Invalid iv")
		}
	case "salt":
		c.saltSet = true
		c.salt, err = s.text(a)
	case "hash":
		var name string
		name, err = s.text(a)
		if c.hash = hashes[name]; c.hash == nil && err == nil {
			err = fmt.Errorf("Unsupported algorithm '%s'", name)
		}
	case "rounds":
		c.rounds, err = s.number(a)
		if err == nil {
			err = c.checkRounds()
		}
	case "raw":
		var n int64
		n, err = s.number(a)
		c.raw = n == 1
		if err == nil && n != 0 && n != 1 {
			err = fmt.Errorf("'%d' is not 0 or 1", n)
		}
	default:
		return fmt.Errorf("Unsupported key '%s'", a.key)
	}
	if c.ivSet && c.saltSet && err == nil {
		err = errors.New("Cannot use both salt and iv")
	}
	return err
}

func (c *sealed) checkRounds() error {
	switch {
	case c.rounds < 1:
		return errors.New("rounds must be positive integer")
	case c.rounds > maxRounds:
		return errors.New("too many rounds")
	}
	return nil
}

func unhex(s, complaint string) (string, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return "", errors.New(complaint)
	}
	return string(b), nil
}

// split takes what encrypt wrote apart.
func (c *sealed) split(value string) (data string, err error) {
	parts := strings.Split(value, "$")
	switch {
	case len(parts) != 3 || parts[2] != "":
		return "", errors.New("Invalid input format")
	case c.ivSet:
		return "", errors.New("Cannot have iv in parameter and input")
	}
	if !strings.HasPrefix(parts[0], "s") && !strings.HasPrefix(parts[0], "r") {
		c.ivSet = true
		if c.iv, err = unhex(parts[0], "Invalid iv"); err != nil {
			return "", err
		}
		return unhex(parts[1], "Invalid input")
	}
	for p := range strings.SplitSeq(parts[0], ",") {
		key, value, _ := strings.Cut(p, "=")
		switch key {
		case "s":
			c.salt, c.saltSet = value, true
		case "r":
			if c.rounds, err = strconv.ParseInt(value, 10, 64); err != nil || c.checkRounds() != nil {
				return "", errors.New("Invalid input")
			}
		default:
			return "", errors.New("Invalid input")
		}
	}
	return unhex(parts[1], "Invalid input")
}

// prepare makes key and iv.
func (c *sealed) prepare() (err error) {
	if c.method, err = newMethod(c.algorithm); err != nil {
		return err
	}
	if c.ivSet {
		c.key, err = unhex(c.key, "Invalid key")
		return err
	}
	if !c.saltSet {
		c.salt, c.saltSet = rand.Text()[:8], true
	}
	material, err := pbkdf2.Key(c.hash, c.key, []byte(c.salt), int(c.rounds), c.method.key+c.method.iv)
	if err != nil {
		return err
	}
	c.key, c.iv = string(material[:c.method.key]), string(material[c.method.key:])
	return nil
}

func (c *sealed) seal(s *state, text string) error {
	if c.ivSet && c.iv == "" {
		c.iv = c.method.random()
	}
	data, err := c.method.encrypt(c.key, c.iv, text)
	if err != nil {
		return err
	}
	if c.raw {
		s.keep(data)
		s.binary = true
		return nil
	}
	head := hex.EncodeToString([]byte(c.iv))
	if c.saltSet {
		head = fmt.Sprintf("s=%s,r=%d", c.salt, c.rounds)
	}
	s.give(head + "$" + hex.EncodeToString([]byte(data)) + "$")
	return nil
}

func (c *sealed) open(s *state, data string) error {
	text, err := c.method.decrypt(c.key, c.iv, data)
	if err != nil {
		return err
	}
	s.give(text)
	s.binary = strings.IndexByte(text, 0) >= 0
	return nil
}
