package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// programs are those of Courier that a supervisor starts for each connection.
var programs = map[string]string{"imaplogin": "imapd", "courierpop3login": "pop3d"}

// supervised looks at the run scripts of daemontools on the system that the settings belong to. A service that starts
// Courier with tcpserver has its address, port and limit in its script, whatever the settings say.
func (r *run) supervised() {
	root := filepath.Join(r.Courier.dir, "..", "..")
	for _, folder := range []string{"service", "var/service", "etc/service"} {
		entries, err := os.ReadDir(filepath.Join(root, folder))
		if err != nil {
			continue // no such supervisor
		}
		for _, e := range entries {
			text, err := readRegular(filepath.Join(root, folder, e.Name(), "run"))
			if err != nil {
				continue
			}
			text = []byte(strings.ReplaceAll(string(text), "\\\n", " "))
			for line := range strings.Lines(string(text)) {
				if hint := tcpserver(strings.Fields(line)); hint != "" {
					r.hint("the service %s starts %s: compare it with the listeners and limits here", e.Name(), hint)
				}
			}
		}
	}
}

// tcpserver says what a command line with tcpserver and a program of Courier's listens on; "" for all others.
func tcpserver(words []string) string {
	file := ""
	for _, w := range words {
		if file == "" {
			file = programs[filepath.Base(w)]
		}
	}
	at := 0
	for at < len(words) && filepath.Base(words[at]) != "tcpserver" {
		at++
	}
	if file == "" || at == len(words) || strings.HasPrefix(words[0], "#") {
		return ""
	}
	limit := "40" // tcpserver's own
	for at++; at < len(words) && strings.HasPrefix(words[at], "-"); at++ {
		switch option := words[at]; {
		case len(option) == 2 && strings.Contains("bcBglutx", option[1:]):
			if at++; option == "-c" && at < len(words) {
				limit = words[at]
			}
		case strings.HasPrefix(option, "-c"):
			limit = option[2:]
		}
	}
	if at+1 >= len(words) {
		return ""
	}
	return fmt.Sprintf("Courier by tcpserver on address %.60s, port %.20s, with at most %.20s connections, and does not look at ADDRESS, PORT and "+
		"MAXDAEMONS of %s", words[at], words[at+1], limit, file)
}
