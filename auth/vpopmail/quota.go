package vpopmail

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Quota is what an account may hold; 0 is no bound.
type Quota struct{ Bytes, Messages int64 }

// ParseQuota reads an account's quota: "NOQUOTA" or "" for none, else one or more parts with commas between them, each a
// number and a unit: "C" counts messages; "S", "B" or nothing bytes; "K", "KB", "M", "MB" 1024 or 1024² of them ("G" and
// "GB" are taken likewise). As in vpopmail, a part that cannot be used counts as nothing; ok is false when there was one.
func ParseQuota(s string) (q Quota, ok bool) {
	ok = true
	if s == "" || strings.EqualFold(s, "NOQUOTA") {
		return q, ok
	}
	for part := range strings.SplitSeq(s, ",") {
		part = strings.ToUpper(strings.TrimSpace(part))
		digits := len(part) - len(strings.TrimLeft(part, "0123456789"))
		n, err := strconv.ParseInt(part[:digits], 10, 64)
		unit, known := units[part[digits:]]
		switch {
		case err != nil || !known || n > math.MaxInt64/max(unit, 1):
			ok = false
		case unit == 0:
			q.Messages = n
		default:
			q.Bytes = n * unit
		}
	}
	return q, ok
}

// units are bytes; 0 stands for messages.
var units = map[string]int64{
	"": 1, "S": 1, "B": 1, "K": 1 << 10, "KB": 1 << 10, "KS": 1 << 10, "M": 1 << 20, "MB": 1 << 20, "MS": 1 << 20, "G": 1 << 30, "GB": 1 << 30, "C": 0,
}

// String gives the quota as vpopmail and Courier write it: "10485760S,1000C", "50C", "NOQUOTA".
func (q Quota) String() string {
	switch {
	case q.Bytes > 0 && q.Messages > 0:
		return fmt.Sprintf("%dS,%dC", q.Bytes, q.Messages)
	case q.Bytes > 0:
		return fmt.Sprintf("%dS", q.Bytes)
	case q.Messages > 0:
		return fmt.Sprintf("%dC", q.Messages)
	}
	return "NOQUOTA"
}
