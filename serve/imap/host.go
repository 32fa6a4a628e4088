package imap

import "os"

// hostName is this machine's, for errors that are looked up in its log.
var hostName = func() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}()
