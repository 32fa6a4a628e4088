package imap

import (
	"fmt"
	"strings"

	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
	"dovetail/serve/config/options"
)

// settings are those of the protocol, ready for use.
type settings struct {
	options.IMAP
	maxKeyword int // bytes (mail_max_keyword_length)

	// Workarounds for clients (imap_client_workarounds).
	delayNewMail   bool // new messages are told behind NOOP, CHECK and IDLE only
	extraSeparator bool // "Archive/" means "Archive"
	lsubFlags      bool // LSUB answers with the attributes of LIST
}

func readSettings(v config.View) (settings, error) {
	o, err := options.Read[options.IMAP](v)
	if err != nil {
		return settings{}, err
	}
	storage, err := options.Read[options.Storage](v)
	s := settings{IMAP: o, maxKeyword: int(storage.MaxKeywordLength)}
	for _, word := range o.ClientWorkarounds {
		switch word {
		case "delay-newmail":
			s.delayNewMail = true
		case "tb-extra-mailbox-sep":
			s.extraSeparator = true
		case "tb-lsub-flags":
			s.lsubFlags = true
		}
	}
	return s, err
}

// counters are what the line about the end of a session tells (imap_logout_format).
type counters struct {
	deleted, expunged, trashed, appended    int
	autoexpunged                            int
	headers, headerBytes, bodies, bodyBytes int64 // that FETCH gave
}

// statistics is imap_logout_format.
func (s *session) statistics() string {
	text, err := s.o.LogoutFormat.Expand(func(name string) (string, error) {
		switch name {
		case "i", "input":
			return fmt.Sprint(s.c.In.Load()), nil
		case "o", "output":
			return fmt.Sprint(s.c.Out.Load()), nil
		case "deleted":
			return fmt.Sprint(s.count.deleted), nil
		case "expunged":
			return fmt.Sprint(s.count.expunged), nil
		case "trashed":
			return fmt.Sprint(s.count.trashed), nil
		case "appended":
			return fmt.Sprint(s.count.appended), nil
		case "autoexpunged":
			return fmt.Sprint(s.count.autoexpunged), nil
		case "fetch_hdr_count":
			return fmt.Sprint(s.count.headers), nil
		case "fetch_hdr_bytes":
			return fmt.Sprint(s.count.headerBytes), nil
		case "fetch_body_count":
			return fmt.Sprint(s.count.bodies), nil
		case "fetch_body_bytes":
			return fmt.Sprint(s.count.bodyBytes), nil
		case "session":
			return s.c.Session, nil
		}
		return "", variable.ErrUnknown
	})
	if err != nil {
		return fmt.Sprintf("in=%d out=%d", s.c.In.Load(), s.c.Out.Load())
	}
	return strings.TrimSpace(text)
}
