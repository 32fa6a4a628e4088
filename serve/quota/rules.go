package quota

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"dovetail/formats/maildir"
	"dovetail/serve/config/options"
)

// rules are the limits of a root (quota-util.c, quota_root_add_rule).
//
//	*:storage=100M:messages=1000   of everything; "?" in place of "*" leaves it to the file maildirsize
//	Trash:storage=+10%             how much more there is where a mailbox fits the mask
//	Spam:ignore                    which is not counted at all
type rules struct {
	bytes, messages int64 // of everything; 0: no limit
	forced          bool  // "*"
	some            []rule
	more            amount // the grace
}

// rule is for the mailboxes that fit a mask.
type rule struct {
	mask            string
	ignore          bool
	bytes, messages amount
}

// amount is a number, or a part of the limit of everything.
type amount struct {
	n       int64
	percent bool
}

func (a amount) of(whole int64) int64 {
	if a.percent {
		return int64(float64(whole) / 100 * float64(a.n))
	}
	return a.n
}

func (r *rules) parse(o options.QuotaRoot) error {
	for _, text := range o.Rules {
		if err := r.addRule(text); err != nil {
			return fmt.Errorf("Invalid rule %s: %w", text, err)
		}
	}
	n, unit := number(o.Grace)
	a, err := scaled(n, unit, 1)
	if n == "" || err != nil {
		return fmt.Errorf("Invalid %s_grace value '%s'", o.Key, o.Grace)
	}
	r.more = a
	return nil
}

func (r *rules) addRule(text string) error {
	mask, limits, ok := strings.Cut(text, ":")
	if !ok {
		return errors.New("Invalid rule")
	}
	whole := mask == "*" || mask == "?"
	r.forced = r.forced || mask == "*"
	if strings.EqualFold(mask, "INBOX") {
		mask = "INBOX"
	}
	this := rule{mask: mask, bytes: amount{n: r.bytes}, messages: amount{n: r.messages}}
	if !whole {
		this = *r.named(mask)
	}
	this.ignore = limits == "ignore"
	if its, ok := strings.CutPrefix(limits, "backend="); ok {
		var err error
		if its != "NOQUOTA" {
			this.bytes.n, this.messages.n, err = maildir.ParseMaildirQuota(its)
		}
		if err != nil {
			return err
		}
		limits = ""
	}
	for part := range strings.SplitSeq(limits, ":") {
		if part == "" || this.ignore {
			continue
		}
		if err := this.limit(part, !whole); err != nil {
			return err
		}
	}
	switch {
	case !whole:
		*r.named(mask) = this
	case this.bytes.percent || this.messages.percent:
		return errors.New("Default rule can't be a percentage")
	case this.bytes.n < 0:
		return errors.New("Bytes limit can't be negative")
	case this.messages.n < 0:
		return errors.New("Count limit can't be negative")
	case this.ignore:
	default:
		r.bytes, r.messages = this.bytes.n, this.messages.n
	}
	return nil
}

// named gives the rule with exactly this mask: a later setting adds to it.
func (r *rules) named(mask string) *rule {
	for i := range r.some {
		if r.some[i].mask == mask {
			return &r.some[i]
		}
	}
	r.some = append(r.some, rule{mask: mask})
	return &r.some[len(r.some)-1]
}

// limit reads storage=N, bytes=N or messages=N; relative allows a sign.
func (r *rule) limit(part string, relative bool) error {
	key, value, _ := strings.Cut(part, "=")
	if strings.HasPrefix(value, "+") {
		if !relative {
			return errors.New("Rule limit cannot have '+'")
		}
		value = value[1:]
	}
	into, unit := &r.bytes, int64(1)
	switch key {
	case "storage":
		unit = 1024
	case "bytes":
	case "messages":
		into = &r.messages
	default:
		return fmt.Errorf("Unknown rule limit name: %s", key)
	}
	n, rest := number(value)
	if n == "" {
		return fmt.Errorf("Invalid %s limit: %s", key, value)
	}
	a, err := scaled(n, rest, unit)
	if err != nil {
		return fmt.Errorf("Invalid rule limit value '%s': %w", part, err)
	}
	*into = a
	return nil
}

// number cuts the digits off, with a minus in front of them.
func number(s string) (digits, rest string) {
	i := 0
	if strings.HasPrefix(s, "-") {
		i = 1
	}
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == 0 || s[:i] == "-" {
		return "", s
	}
	return s[:i], s[i:]
}

// scaled multiplies a number by its unit; without one by usual.
func scaled(digits, unit string, usual int64) (amount, error) {
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return amount{}, err
	}
	if unit == "%" {
		if n <= -100 || n >= math.MaxUint32 {
			return amount{}, errors.New("Invalid percentage")
		}
		return amount{n, true}, nil
	}
	shift, ok := map[string]uint{"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40}[strings.ToUpper(unit[:min(1, len(unit))])]
	if !ok {
		return amount{}, fmt.Errorf("Unknown unit: %s", unit)
	}
	times := int64(1) << shift
	if unit == "" {
		times = usual
	}
	if n > math.MaxInt64/times || n < math.MinInt64/times {
		return amount{}, errors.New("Number is too large")
	}
	return amount{n: n * times}, nil
}

func (r *rules) find(mailbox string) *rule {
	for i := range r.some {
		if matches(r.some[i].mask, mailbox) {
			return &r.some[i]
		}
	}
	return nil
}

func (r *rules) ignores(mailbox string) bool {
	one := r.find(mailbox)
	return one != nil && one.ignore
}

// limits gives those of a mailbox (quota.c, quota_root_get_rule_limits): where everything is unlimited no rule counts.
func (r *rules) limits(mailbox string) (bytes, messages int64) {
	bytes, messages = r.bytes, r.messages
	if one := r.find(mailbox); one != nil && (bytes != 0 || messages != 0) {
		bytes, messages = sum(bytes, one.bytes.of(r.bytes)), sum(messages, one.messages.of(r.messages))
	}
	return max(bytes, 0), max(messages, 0)
}

func sum(a, b int64) int64 {
	if b > 0 && a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// grace is how far the last message may go over the limit.
func (r *rules) grace() int64 { return max(r.more.of(r.bytes), 0) }
