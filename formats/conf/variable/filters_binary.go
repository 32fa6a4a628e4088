package variable

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// hashFilter is hash(method): the method is the first argument.
func hashFilter(s *state, args []argument) error {
	switch {
	case len(args) == 0:
		return errMissing
	case args[0].key != "":
		return errors.New("No algorithm as first parameter")
	}
	method, err := s.text(args[0])
	if err != nil {
		return err
	}
	if hashes[method] == nil {
		return fmt.Errorf("Unsupported algorithm '%s'", method)
	}
	return runDigest(s, method, "hash", args[1:])
}

func digestFilter(method string) filter {
	return func(s *state, args []argument) error { return runDigest(s, method, method, args) }
}

// runDigest takes the named arguments rounds and salt. The result is binary.
func runDigest(s *state, method, action string, args []argument) (err error) {
	rounds, salt := int64(1), ""
	for _, a := range args {
		switch a.key {
		case "":
			return errTooMany
		case "rounds":
			rounds, err = s.number(a)
		case "salt":
			salt, err = s.text(a)
		default:
			return fmt.Errorf("Unsupported key '%s'", a.key)
		}
		if err != nil {
			return err
		}
	}
	if err := s.need(action); err != nil {
		return err
	}
	if rounds > maxRounds {
		return errors.New("too many rounds")
	}
	s.keep(digest(hashes[method], salt, s.value, max(rounds, 0)))
	s.binary = true
	return nil
}

// scheme reads the arguments of base64: pad and url, 0 or 1.
func (s *state) scheme(args []argument, wrong func(key string, n int64) error) (*base64.Encoding, error) {
	pad, url := int64(1), int64(0)
	for _, a := range args {
		if a.key == "" {
			return nil, errTooMany
		}
		if a.key != "pad" && a.key != "url" {
			return nil, fmt.Errorf("Unsupported key '%s'", a.key)
		}
		n, err := s.number(a)
		switch {
		case err != nil:
			return nil, err
		case n != 0 && n != 1:
			return nil, wrong(a.key, n)
		case a.key == "pad":
			pad = n
		default:
			url = n
		}
	}
	encoding := base64.StdEncoding
	if url == 1 {
		encoding = base64.URLEncoding
	}
	if pad == 0 {
		encoding = encoding.WithPadding(base64.NoPadding)
	}
	return encoding, nil
}

func toBase64(s *state, args []argument) error {
	encoding, err := s.scheme(args, func(_ string, n int64) error { return fmt.Errorf("'%d' is not 0 or 1", n) })
	if err != nil {
		return err
	}
	if err := s.need("base64"); err != nil {
		return err
	}
	s.give(encoding.EncodeToString([]byte(s.value)))
	return nil
}

// fromBase64 keeps what could be decoded before the first wrong character.
func fromBase64(s *state, args []argument) error {
	encoding, err := s.scheme(args, func(key string, _ int64) error {
		return fmt.Errorf("Supported values for %s are 0 or 1", key)
	})
	if err != nil {
		return err
	}
	if err := s.need("unbase64"); err != nil {
		return err
	}
	b := make([]byte, encoding.DecodedLen(len(s.value)))
	n, _ := encoding.Decode(b, []byte(s.value))
	s.keep(string(b[:n]))
	s.binary = true
	return nil
}

// width reads the one optional argument of hex and hexlify.
func (s *state) width(args []argument) (int64, error) {
	if err := positional(args, 1); err != nil || len(args) == 0 {
		return 0, err
	}
	return s.number(args[0])
}

// toHex prints a number. A positive width keeps that many digits at the right
// end, zeros before them; a negative one at the left end, zeros after them.
func toHex(s *state, args []argument) error {
	width, err := s.width(args)
	if err != nil {
		return err
	}
	if err := s.need("hex"); err != nil {
		return err
	}
	n, err := strconv.ParseUint(s.value, 10, 64)
	switch {
	case err != nil:
		return errors.New("Input is not a number")
	case width < -256 || width > 256:
		return errors.New("Excessive padding")
	}
	digits := strconv.FormatUint(n, 16)
	zeros := strings.Repeat("0", int(max(width, -width)))
	switch {
	case width > 0:
		digits = zeros + digits
		digits = digits[len(digits)-int(width):]
	case width < 0:
		digits = (digits + zeros)[:-width]
	}
	s.keep(digits)
	return nil
}

func fromHex(s *state) error {
	n, err := strconv.ParseUint(s.value, 16, 64)
	if err != nil {
		return errors.New("Input is not a hex number")
	}
	s.give(strconv.FormatUint(n, 10))
	return nil
}

// hexlify prints bytes; a width pads with zeros on the left or cuts at the
// right.
func hexlify(s *state, args []argument) error {
	width, err := s.width(args)
	if err != nil {
		return err
	}
	if width < 0 {
		return errors.New("Width must be positive")
	}
	if err := s.need("hexlify"); err != nil {
		return err
	}
	digits := hex.EncodeToString([]byte(s.value))
	missing := width - int64(len(digits))
	switch {
	case width == 0:
	case missing > 256:
		return errors.New("Excessive padding")
	case missing > 0:
		digits = strings.Repeat("0", int(missing)) + digits
	default:
		digits = digits[:width]
	}
	s.give(digits)
	return nil
}

func unhexlify(s *state) error {
	b, err := hex.DecodeString(s.value)
	if err != nil {
		return errors.New("Not a hex value")
	}
	s.keep(string(b))
	s.binary = true
	return nil
}

// bytesToNumber reads 1, 2, 4 or 8 bytes, the highest first.
func bytesToNumber(s *state, b string) error {
	switch len(b) {
	case 1, 2, 4, 8:
	default:
		return fmt.Errorf("Cannot convert '%d' bytes to number", len(b))
	}
	s.give(strconv.FormatUint(lastBytes(b), 10))
	return nil
}

// lastBytes reads the last eight bytes as a number, the highest first.
func lastBytes(b string) uint64 {
	var n uint64
	for i := max(0, len(b)-8); i < len(b); i++ {
		n = n<<8 | uint64(b[i])
	}
	return n
}

// calculation is what an operator does. A binary value can only be taken
// modulo something: its last eight bytes are a number then.
func calculation(s *state, args []argument) error {
	if len(args) != 2 {
		return errMissing
	}
	right, err := s.number(args[1])
	if err != nil {
		return err
	}
	if err := s.need("calculate"); err != nil {
		return err
	}
	oper := args[0].text
	if s.binary && oper == "PERC" {
		if right <= 0 {
			return errors.New("Binary modulo must be positive integer")
		}
		s.give(strconv.FormatUint(lastBytes(s.value)%uint64(right), 10))
		return nil
	}
	left, ok := integer(s.value)
	if !ok {
		return errors.New("Input is not a number")
	}
	switch {
	case right <= 0 && oper == "SLASH":
		return errors.New("Division must be by positive integer")
	case right <= 0 && oper == "PERC":
		return errors.New("Modulo must be by positive integer")
	}
	s.safe = false
	s.keep(strconv.FormatInt(operate(left, oper, right), 10))
	return nil
}

func operate(a int64, oper string, b int64) int64 {
	switch oper {
	case "PLUS":
		return a + b
	case "MINUS":
		return a - b
	case "STAR":
		return a * b
	case "SLASH":
		return a / b
	}
	return a % b
}
