package options

import (
	"slices"
	"time"

	"dovetail/formats/conf"
	"dovetail/serve/config"
)

// Namespace is a part of a user's mailboxes that has a prefix of its own.
type Namespace struct {
	Name            string    `set:"namespace/name"`
	Type            string    `set:"namespace/type"`                                                         // private, shared, public
	Separator       string    `set:"namespace/separator"`                                                    // one byte; "": that of the format
	Prefix          Template  `set:"namespace/prefix" place:"storage"`                                       // with separator; "" for one namespace
	AliasFor        *Template `set:"namespace/alias_for" by:"unset"`                                         // prefix of the namespace that it shows; nil: none
	Inbox           bool      `set:"namespace/inbox"`                                                        // has the INBOX
	Hidden          bool      `set:"namespace/hidden"`                                                       // not told by NAMESPACE
	List            string    `set:"namespace/list"`                                                         // yes, no, children: in LIST
	Subscriptions   bool      `set:"namespace/subscriptions"`                                                // has its own list; otherwise that of a shorter prefix
	IgnoreOnFailure bool      `set:"namespace/ignore_on_failure"`                                            // login works without it
	Order           uint32    `set:"namespace/order"`                                                        // in replies
	Place           Place     `set:"namespace/location" by:"dialect"`                                        // where its mail is
	Mailboxes       []Mailbox `set:"namespace/mailbox/name,mailbox,namespace,namespace/disabled" by:"lists"` // with settings of their own
}

// Mailbox is what is special about one mailbox.
type Mailbox struct {
	Name        string        `set:"namespace/mailbox/name"`        // below the prefix; "*" and "?" match
	Auto        string        `set:"namespace/mailbox/auto"`        // no, create, subscribe
	SpecialUse  []string      `set:"namespace/mailbox/special_use"` // RFC 6154: \Sent
	Autoexpunge time.Duration `set:"namespace/mailbox/autoexpunge"` // age at which messages go; 0: never

	AutoexpungeMaxMails uint32 `set:"namespace/mailbox/autoexpunge_max_mails"` // messages that stay, the newest; 0: any number
}

// ReadNamespaces gives the namespaces that are not disabled, in reading order.
// Without any there is one with the prefix "" that holds everything.
func ReadNamespaces(v config.View) ([]Namespace, error) {
	var list []Namespace
	for _, s := range v.Sections("namespace") {
		if disabled(v.Dialect, s) {
			continue
		}
		n, err := readNamespace(v, s)
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	if len(list) > 0 {
		return list, nil
	}
	boxes, err := readMailboxes(v.Dialect, v.Sections("mailbox"))
	return []Namespace{{Type: "private", Inbox: true, List: "yes", Subscriptions: true, Place: ReadPlace(v), Mailboxes: boxes}}, err
}

func disabled(d conf.Dialect, s config.SectionView) bool {
	key := "disabled"
	if d == conf.V24 {
		key = "namespace_disabled"
	}
	v, _ := s.Get(key)
	return v.Text == "yes"
}

func readNamespace(v config.View, s config.SectionView) (Namespace, error) {
	var n Namespace
	if err := fill(v.Dialect, s.Get, &n); err != nil {
		return n, err
	}
	alias, sections := "alias_for", s.Sections("mailbox")
	if v.Dialect == conf.V24 {
		alias = "namespace_alias_for"
		sections = slices.Concat(v.Sections("mailbox"), sections)
	}
	if to, _ := s.Get(alias); to.Pos.File != "" {
		t := storageTemplate(to.Text)
		if v.Dialect == conf.V24 {
			t = Template{Text: to.Text}
		}
		n.AliasFor = &t
	}
	n.Place = readPlace(v.Dialect, s.Get, "location")
	if n.Place.Root.Text == "" && n.Place.Driver == "" {
		n.Place = ReadPlace(v)
	}
	var err error
	n.Mailboxes, err = readMailboxes(v.Dialect, sections)
	return n, err
}

func readMailboxes(d conf.Dialect, sections []config.SectionView) ([]Mailbox, error) {
	var list []Mailbox
	for _, s := range sections {
		m := Mailbox{}
		if err := fill(d, s.Get, &m); err != nil {
			return nil, err
		}
		if m.Name == "" {
			m.Name = s.Name
		}
		same := func(have Mailbox) bool { return have.Name == m.Name }
		if i := slices.IndexFunc(list, same); i >= 0 {
			list[i] = m // a namespace's own one wins over that of the top level
			continue
		}
		list = append(list, m)
	}
	return list, nil
}
