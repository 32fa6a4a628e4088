package vpopmail

import (
	"fmt"
	"slices"
	"strings"

	"dovetail/auth/cdb"
)

// Encode gives the two files of a domain for its accounts, sorted by name as vpopmail keeps them.
func Encode(accounts []Account) (vpasswd, compiled []byte, err error) {
	accounts = slices.Clone(accounts)
	slices.SortFunc(accounts, func(a, b Account) int { return strings.Compare(a.Name, b.Name) })
	records := make([]cdb.Record, 0, len(accounts))
	for _, a := range accounts {
		r, err := a.Record()
		if err == nil {
			vpasswd, err = a.AppendLine(vpasswd)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", a.Address(), err)
		}
		records = append(records, r)
	}
	compiled, err = cdb.Append(nil, records)
	return vpasswd, compiled, err
}
