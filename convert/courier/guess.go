package courier

import (
	"fmt"
	"strings"
)

// remarkGuess tells, on the way back, of folders whose names the two Couriers would write differently when nothing that
// Courier left shows which of the two it was: it is taken for 4 then, and clients of 5 would see those names encoded.
func (r *run) remarkGuess() {
	if r.opts.To != ToCourier || r.opts.Version != 0 || r.Courier != 4 {
		return
	}
	var doubtful []string
	for _, f := range r.folders {
		if f.outcome == Skipped || !strings.Contains(f.path, "&") {
			continue
		}
		if r.hasFile(within(f.found, "courierimapuiddb")) {
			return // Courier has served a folder of such a name, and it was valid for 4
		}
		doubtful = append(doubtful, f.name)
	}
	if len(doubtful) == 0 || r.hasFile("courierpop3dsizelist") { // one of version 3 would be Courier 5's
		return
	}
	some := doubtful[:min(len(doubtful), 5)]
	r.Problems = append(r.Problems, Problem{
		What: fmt.Sprintf("taken for Courier 4, although nothing shows which Courier it was, with %s whose names the two write differently: %q",
			countOf(len(doubtful), "folder"), some),
		Fate: "say --courier-version 4 or 5: clients of Courier 5 would see the names encoded",
	})
}

func (r *run) hasFile(name string) bool {
	_, err := r.root.Stat(name)
	return err == nil
}
