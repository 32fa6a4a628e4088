package imapwire

import (
	"strings"
)

// Command is one command of a client.
type Command struct {
	Tag  string
	Name string // upper case, with UID where it was there: "FETCH", "UID FETCH"
	UID  bool   // numbers are UIDs

	// Args is *Select, *Fetch and so on, by value of Name; nil for commands without arguments.
	Args any
}

// parsers reads the arguments of each command. Commands with a "UID " form are in both tables.
var (
	parsers    map[string]func(*Decoder) any
	uidParsers map[string]func(*Decoder) any
)

func init() {
	none := func(*Decoder) any { return nil }
	parsers = map[string]func(*Decoder) any{
		"CAPABILITY": none, "NOOP": none, "LOGOUT": none, "STARTTLS": none, "CHECK": none, "CLOSE": none, "UNSELECT": none,
		"EXPUNGE": none, "IDLE": none, "NAMESPACE": none, "UNAUTHENTICATE": none,
		"LOGIN": (*Decoder).login, "AUTHENTICATE": (*Decoder).authenticate, "ID": (*Decoder).id, "ENABLE": (*Decoder).enable,
		"SELECT": (*Decoder).selecting, "EXAMINE": (*Decoder).selecting,
		"CREATE": (*Decoder).create, "DELETE": (*Decoder).mailbox, "RENAME": (*Decoder).rename,
		"SUBSCRIBE": (*Decoder).mailbox, "UNSUBSCRIBE": (*Decoder).mailbox,
		"LIST": (*Decoder).listing, "LSUB": (*Decoder).lsub, "XLIST": (*Decoder).lsub, "STATUS": (*Decoder).status,
		"APPEND": (*Decoder).appending,
		"FETCH":  (*Decoder).fetch, "STORE": (*Decoder).store, "COPY": (*Decoder).copying, "MOVE": (*Decoder).copying,
		"SEARCH": (*Decoder).search, "SORT": (*Decoder).sort, "THREAD": (*Decoder).thread,
		"NOTIFY": (*Decoder).notify, "COMPRESS": (*Decoder).compress, "CANCELUPDATE": (*Decoder).cancel,
	}
	uidParsers = map[string]func(*Decoder) any{"EXPUNGE": (*Decoder).expunge}
	for _, name := range []string{"FETCH", "STORE", "COPY", "MOVE", "SEARCH", "SORT", "THREAD"} {
		uidParsers[name] = parsers[name]
	}
}

// Commands gives the names of all commands that can be read.
func Commands() []string {
	var names []string
	for name := range parsers {
		names = append(names, name)
	}
	for name := range uidParsers {
		names = append(names, "UID "+name)
	}
	return names
}

// Next waits for a command and reads it, but for APPEND's messages (see NextMessage). A SyntaxError is about this
// command alone; io.EOF means that the client has gone.
func (d *Decoder) Next() (*Command, error) {
	if d.begun { // what nobody wanted of an APPEND is never taken for a command
		if err := d.discard(); err != nil {
			return nil, err
		}
	}
	d.release()
	d.tag, d.name, d.skipped, d.err, d.atEnd, d.begun = "", "", 0, nil, false, false
	d.left = d.limit()
	if d.pos == d.end {
		if err := d.fill(); err != nil {
			return nil, err
		}
	}
	d.begun = true
	c := d.command()
	if d.err != nil {
		return nil, d.recovered()
	}
	if d.literal == nil && c.Name != "APPEND" {
		d.release()
	}
	return c, nil
}

func (d *Decoder) command() *Command {
	c := &Command{Tag: d.word(isTag, "tag")}
	if d.err == nil {
		if b := d.peek(); b != ' ' && b != '\r' && b != '\n' {
			d.fail("Invalid tag")
		}
	}
	if d.err != nil {
		if e, ok := d.err.(*SyntaxError); ok && d.tag == "" {
			e.Text = "Invalid tag"
		}
		return nil
	}
	d.tag = c.Tag
	d.space("command")
	c.Name = d.keyword("command")
	table := parsers
	if c.Name == "UID" && d.err == nil {
		d.space("command")
		table, c.UID = uidParsers, true
		c.Name = d.keyword("command")
	}
	parse := table[c.Name]
	if c.UID {
		c.Name = "UID " + c.Name
	}
	d.name = c.Name
	if d.err == nil && parse == nil {
		d.fail("Unknown command")
	}
	if d.err != nil {
		return nil
	}
	c.Args = parse(d)
	if c.Name != "APPEND" {
		d.finish()
	}
	return c
}

// Login is LOGIN.
type Login struct{ User, Password string }

func (d *Decoder) login() any {
	d.space("user name")
	user := d.astring("user name")
	d.space("password")
	return &Login{user, d.astring("password")}
}

// Authenticate is AUTHENTICATE. Initial is base64, "=" for an answer of no bytes; HasInitial: it was there (SASL-IR).
type Authenticate struct {
	Mechanism, Initial string
	HasInitial         bool
}

func (d *Decoder) authenticate() any {
	d.space("mechanism")
	a := &Authenticate{Mechanism: d.keyword("mechanism")}
	if d.more() {
		a.Initial, a.HasInitial = d.word(isAString, "initial response"), true
	}
	return a
}

// ID is ID with what the client says of itself, in its order; a value may be NIL, which is "".
type ID struct{ Fields [][2]string }

// maxID is how long the parameters of ID may be: 30 fields of 30 bytes with values of 1,024 (RFC 2971 section 3.3), even
// where other commands are kept short.
const maxID = 30 * (30 + 1024 + 10)

func (d *Decoder) id() any {
	d.left += maxID
	d.space("parameter list")
	id := &ID{}
	if d.peek() != '(' {
		if d.keyword("parameter list") != "NIL" {
			d.fail("Invalid parameter list")
		}
		return id
	}
	d.list("parameter list", func() {
		key, _ := d.nstring("field")
		d.space("value")
		value, _ := d.nstring("value")
		id.Fields = append(id.Fields, [2]string{key, value})
	})
	return id
}

// Enable is ENABLE with names in upper case.
type Enable struct{ Capabilities []string }

func (d *Decoder) enable() any {
	e := &Enable{}
	for d.more() {
		e.Capabilities = append(e.Capabilities, d.keyword("capability"))
	}
	return e
}

// Mailbox is the argument of DELETE, SUBSCRIBE and UNSUBSCRIBE.
type Mailbox struct{ Name string }

func (d *Decoder) mailbox() any { return &Mailbox{d.mailboxName()} }

func (d *Decoder) mailboxName() string {
	d.space("mailbox name")
	return d.astring("mailbox name")
}

// Create is CREATE; Uses are special uses (RFC 6154 section 3).
type Create struct {
	Name string
	Uses []string
}

func (d *Decoder) create() any {
	c := &Create{Name: d.mailboxName()}
	if !d.more() {
		return c
	}
	d.list("CREATE parameter", func() {
		if d.keyword("CREATE parameter") != "USE" {
			d.fail("Unknown CREATE parameter")
			return
		}
		d.space("special use")
		d.list("special use", func() { c.Uses = append(c.Uses, d.flag()) })
	})
	return c
}

// Rename is RENAME.
type Rename struct{ From, To string }

func (d *Decoder) rename() any { return &Rename{d.mailboxName(), d.mailboxName()} }

// Copy is COPY and MOVE.
type Copy struct {
	Set     Set
	Mailbox string
}

func (d *Decoder) copying() any {
	d.space("arguments")
	return &Copy{d.set(messageSet), d.mailboxName()}
}

// Expunge is UID EXPUNGE.
type Expunge struct{ Set Set }

func (d *Decoder) expunge() any {
	d.space("arguments")
	return &Expunge{d.set(uidSet)}
}

// Compress is COMPRESS.
type Compress struct{ Algorithm string }

func (d *Decoder) compress() any {
	d.space("algorithm")
	return &Compress{d.keyword("algorithm")}
}

// Cancel is CANCELUPDATE with the tags of the searches that are no longer wanted.
type Cancel struct{ Tags []string }

func (d *Decoder) cancel() any {
	c := &Cancel{}
	for d.more() {
		c.Tags = append(c.Tags, d.astring("tag"))
	}
	if len(c.Tags) == 0 {
		d.missing("tag")
	}
	return c
}

// flag reads a flag or an attribute: an atom, or one behind a backslash.
func (d *Decoder) flag() string {
	if d.accept('\\') {
		if d.accept('*') {
			return `\*`
		}
		return `\` + d.word(isAtom, "flag")
	}
	return d.word(isFlag, "flag")
}

// flags reads "(\Seen work)".
func (d *Decoder) flags() []string {
	list := []string{}
	d.list("flag", func() { list = append(list, d.flag()) })
	return list
}

// one wants a word of a list of choices; the error calls it by what.
func (d *Decoder) one(what string, choices ...string) string {
	word := d.keyword(what)
	for _, c := range choices {
		if c == word {
			return word
		}
	}
	if d.err == nil {
		d.fail("Unknown %s %s", what, shown(word))
	}
	return ""
}

// shown is a client's word in an answer to it.
func shown(word string) string {
	const most = 64
	if len(word) > most {
		word = word[:most] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, word)
}
