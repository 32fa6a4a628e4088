package scheme

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Kind is what of a stored password tells how hard it is to guess: its scheme, by the name of what it really is
// ("{CRYPT}$6$…" is SHA512-CRYPT, "{ARGON2}$argon2id$…" ARGON2ID), and what one guess costs.
type Kind struct {
	Name   string
	Rounds uint32 // in the scheme's own unit; 0: the scheme has none
	Memory uint32 // KiB; 0: next to nothing
}

// String is the spelling that ParseTarget reads: "SHA512-CRYPT:5000", "ARGON2ID:3:65536", "SSHA".
func (k Kind) String() string {
	text := k.Name
	if k.Rounds > 0 {
		text += ":" + strconv.FormatUint(uint64(k.Rounds), 10)
	}
	if k.Memory > 0 {
		text += ":" + strconv.FormatUint(uint64(k.Memory), 10)
	}
	return text
}

// KindOf looks at a stored password with its {SCHEME}. One that cannot be read has the scheme that it says it has.
func KindOf(stored string) Kind {
	p, err := Parse(stored, "")
	if err != nil {
		name, _ := Cut(stored, "")
		return Kind{Name: strings.ToUpper(name)}
	}
	text := string(p.Raw)
	switch name := canonical(p.Scheme); name {
	case "BLF-CRYPT", "DES-CRYPT", "SHA256-CRYPT", "SHA512-CRYPT":
		return cryptKind(text)
	case "MD5-CRYPT":
		if p.Scheme == "MD5" && !strings.HasPrefix(text, "$1$") {
			return Kind{Name: "PLAIN-MD5"}
		}
		return Kind{Name: name}
	case "ARGON2I", "ARGON2ID":
		if a, err := parseArgon2(text); err == nil {
			return a.kind()
		}
		return Kind{Name: name}
	case "PBKDF2":
		if fields := strings.Split(text, "$"); len(fields) == 5 {
			return Kind{Name: name, Rounds: number(fields[3])}
		}
		return Kind{Name: name}
	case scramSHA1.name, scramSHA256.name:
		rounds, _, _ := strings.Cut(text, ",")
		return Kind{Name: name, Rounds: number(rounds)}
	default:
		return Kind{Name: name}
	}
}

// cryptKind looks at what crypt(3) gave.
func cryptKind(hash string) Kind {
	k := Kind{Name: Tell(hash).Name}
	switch k.Name {
	case "BLF-CRYPT":
		if len(hash) > blowfishSetting {
			k.Rounds = number(hash[4:6])
		}
	case "SHA256-CRYPT", "SHA512-CRYPT":
		k.Rounds = shaRounds
		if rest, ok := strings.CutPrefix(hash[3:], "rounds="); ok {
			rounds, _, _ := strings.Cut(rest, "$")
			k.Rounds = number(rounds)
		}
	}
	return k
}

// canonical gives schemes that differ in their name alone the same one.
func canonical(name string) string {
	switch name {
	case "CRYPT":
		return "BLF-CRYPT" // new ones are
	case "MD5":
		return "MD5-CRYPT"
	case "ARGON2":
		return "ARGON2ID"
	}
	return alias(name)
}

// number reads a count that was checked when the password was verified; what is none is 0.
func number(text string) uint32 {
	n, _ := strconv.ParseUint(text, 10, 32)
	return uint32(n)
}

// Target is how passwords are to be stored: the field upgrade_scheme.
type Target struct {
	scheme string
	o      MakeOptions
	kind   Kind
}

// ParseTarget reads "SCHEME", "SCHEME:ROUNDS" or "SCHEME:ROUNDS:KIB"; what is left out is as Make has it. Rounds of a
// scheme that has none, and a cost that is out of the range which Make keeps to, are errors.
func ParseTarget(text string) (Target, error) {
	words := strings.Split(text, ":")
	m, _, _, ok := find(words[0])
	if !ok {
		return Target{}, fmt.Errorf("%w %s", ErrUnknown, words[0])
	}
	t := Target{scheme: strings.ToUpper(words[0])}
	if len(words) > 3 {
		return Target{}, errors.New("more than SCHEME:ROUNDS:KIB")
	}
	for i, to := range []*uint32{&t.o.Rounds, &t.o.Memory} {
		if i+1 >= len(words) {
			break
		}
		n, err := strconv.ParseUint(words[i+1], 10, 32)
		if err != nil || n == 0 {
			return Target{}, fmt.Errorf("%q is no number of rounds or KiB", words[i+1])
		}
		*to = uint32(n)
	}
	var err error
	if t.kind, err = made(canonical(m.name), t.o); err != nil {
		return Target{}, err
	}
	if t.o.Rounds != 0 && t.o.Rounds != t.kind.Rounds || t.o.Memory != 0 && t.o.Memory != t.kind.Memory {
		return Target{}, fmt.Errorf("%s cannot be asked for; the nearest is %s", text, t.kind)
	}
	return t, nil
}

// made is the kind of what Make gives.
func made(name string, o MakeOptions) (k Kind, err error) {
	k.Name = name
	switch name {
	case "BLF-CRYPT":
		k.Rounds = blowfishCost(o)
		err = atMost("as bcrypt's cost", uint64(k.Rounds), MaxBlowfishCost)
	case "SHA256-CRYPT", "SHA512-CRYPT":
		k.Rounds = shaCryptRounds(o)
		err = atMost("rounds", uint64(k.Rounds), MaxIterations)
	case "PBKDF2":
		k.Rounds = pbkdf2Rounds(o)
		err = atMost("rounds", uint64(k.Rounds), MaxIterations)
	case scramSHA1.name, scramSHA256.name:
		k.Rounds = scramRounds(o)
	case "ARGON2I":
		a := newArgon2i(o)
		k, err = a.kind(), a.allowed()
	case "ARGON2ID":
		a := newArgon2id(o)
		k, err = a.kind(), a.allowed()
	}
	return k, err
}

// Reached tells whether a stored password, with its {SCHEME}, is in the target's scheme and costs no less.
func (t Target) Reached(stored string) bool {
	have := KindOf(stored)
	return have.Name == t.kind.Name && have.Rounds >= t.kind.Rounds && have.Memory >= t.kind.Memory
}

// Make is Make for the target.
func (t Target) Make(user, password string) (string, error) {
	return Make(t.scheme, user, password, t.o)
}

// String names what Make gives.
func (t Target) String() string { return t.kind.String() }
