package vpopmail

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"dovetail/auth/listfile"
	"dovetail/auth/sql/mysql"
)

// ReadServers reads vpopmail.mysql: the first line that is no comment says where accounts are read, the second where they
// are written; one line is for both. A line is "server|port|user|password|database", port 0 the usual one.
func ReadServers(path string) (read, update mysql.Server, err error) {
	f, _, err := listfile.Open(path)
	if err != nil {
		return read, update, err
	}
	defer f.Close()
	return ParseServers(f, path)
}

// ParseServers is ReadServers for what is open already. Errors do not quote the lines, which hold a password.
func ParseServers(r io.Reader, path string) (read, update mysql.Server, err error) {
	var servers []mysql.Server
	for l, err := range listfile.Lines(r) {
		text := strings.TrimSpace(string(l.Text))
		if err != nil || text == "" || text[0] == '#' {
			if err != nil {
				return read, update, err
			}
			continue
		}
		s, err := parseServer(text)
		if err != nil {
			return read, update, Problem{Path: path, Line: l.Number, What: err.Error()}
		}
		if servers = append(servers, s); len(servers) == 2 {
			break
		}
	}
	if len(servers) == 0 {
		return read, update, Problem{Path: path, What: "no line server|port|user|password|database"}
	}
	return servers[0], servers[len(servers)-1], nil
}

func parseServer(text string) (s mysql.Server, err error) {
	f := strings.Split(text, "|")
	if len(f) < 5 {
		return s, fmt.Errorf("%d fields instead of server|port|user|password|database", len(f))
	}
	// A password may hold the sign: the other fields cannot.
	last := len(f) - 1
	s = mysql.Server{Host: f[0], User: f[2], Password: strings.Join(f[3:last], "|"), Database: f[last]}
	if f[1] != "" {
		s.Port, err = strconv.Atoi(f[1])
	}
	if err != nil || s.Port < 0 || s.Port > 65535 {
		return s, errors.New("the port is no number")
	}
	return s, nil
}
