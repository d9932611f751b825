package cloud

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"goned/core/auth"
	"goned/core/image"
	"goned/core/resource"
	"goned/core/substitute"
	"goned/core/template"
	"goned/core/vnet"
)

// bootFiles resolves kernel and ramdisk images.
func (b *builder) bootFiles() error {
	all := b.vm.Template.All("OS")
	switch {
	case len(all) == 0:
		return nil
	case len(all) > 1:
		return errors.New("Only one OS attribute can be defined.")
	case all[0].Vec == nil:
		return errors.New("Internal error parsing OS attribute.")
	}
	if err := b.bootFile(all[0].Vec, "KERNEL", image.Kernel); err != nil {
		return err
	}
	return b.bootFile(all[0].Vec, "INITRD", image.Ramdisk)
}

func (b *builder) bootFile(os *template.Vector, name string, kind image.Type) error {
	key := name + "_DS"
	text := os.Get(key)
	if text == "" {
		return nil
	}
	files, err := b.files(text)
	if err != nil {
		return err
	}
	if len(files) != 1 {
		return errors.New("Only one FILE variable can be used in: " + text)
	}
	img := files[0]
	if img.Type != kind {
		return fmt.Errorf("%s needs an image of type %s and not %s", name, kind, img.Type)
	}
	if img.State != image.Ready {
		return fmt.Errorf("%s Image '%d 'not in READY state.", kind, img.ID)
	}
	ds := b.tx.Datastores.Get(img.DatastoreID)
	if ds == nil {
		return errors.New("Associated datastore for image does not exist")
	}
	os.Del(name)
	os.Set(key+"_ID", strconv.Itoa(img.ID))
	os.Set(key+"_SOURCE", img.Source)
	os.Set(key+"_DSID", strconv.Itoa(ds.ID))
	os.Set(key+"_TM", ds.TMMad)
	if ds.ClusterID != resource.NoCluster {
		os.Set(key+"_CLUSTER_ID", strconv.Itoa(ds.ClusterID))
	}
	return nil
}

// files finds the images of a text of FILE variables.
func (b *builder) files(text string) ([]*image.Image, error) {
	fail := func(err error) ([]*image.Image, error) {
		return nil, errors.New("Error parsing: " + text + ". " + err.Error())
	}
	selectors, err := substitute.ParseFiles(text)
	if err != nil {
		return fail(err)
	}
	var out []*image.Image
	for _, sel := range selectors {
		img, err := b.file(sel)
		if err != nil {
			return fail(err)
		}
		out = append(out, img)
	}
	return out, nil
}

func (b *builder) file(sel []substitute.Selector) (*image.Image, error) {
	values := map[string]string{}
	for _, s := range sel {
		values[s.Key] = s.Value
	}
	img, err := b.selectFile(values)
	if err != nil {
		return nil, err
	}
	if auth.Authorize(b.tx.ACL(), b.tx.Conf.Federation.Zone, b.owner, auth.On(auth.Use, resource.Image, img)) != nil {
		return nil, errors.New("User not authorize to use image.")
	}
	return img, nil
}

func (b *builder) selectFile(values map[string]string) (*image.Image, error) {
	if text, ok := values["IMAGE_ID"]; ok {
		id, err := strconv.Atoi(text)
		if err != nil {
			id = -1
		}
		if img := b.tx.Images.Get(id); img != nil {
			return img, nil
		}
		return nil, fmt.Errorf("Image with ID: %d does not exist", id)
	}
	name, ok := values["IMAGE"]
	if !ok {
		return nil, errors.New("Cannot get image, set IMAGE_ID or IMAGE.")
	}
	uid := b.vm.UID
	if text, ok := values["IMAGE_UID"]; ok {
		id, err := strconv.Atoi(text)
		if err != nil {
			id = -1
		}
		uid = id
	} else if uname, ok := values["IMAGE_UNAME"]; ok {
		u := b.tx.Users.ByName(uname)
		if u == nil {
			return nil, fileNotOwned(uid, name)
		}
		uid = u.ID
	}
	if img := b.tx.Images.ByName(image.Key(uid, name)); img != nil {
		return img, nil
	}
	return nil, fileNotOwned(uid, name)
}

func fileNotOwned(uid int, name string) error {
	return fmt.Errorf("User %d does not own an image with name: %s . Set IMAGE_UNAME or IMAGE_UID of owner.", uid, name)
}

// contextSeparator joins the assignments of a context into the one text whose variables are replaced; error messages show it.
const contextSeparator = " @^_^@ "

// context completes CONTEXT: network variables, the values of all variables, files, and the OneGate address. CONTEXT is invisible
// to its own variables.
func (b *builder) context() error {
	all := b.vm.Template.All("CONTEXT")
	switch {
	case len(all) == 0:
		return nil
	case len(all) > 1:
		return errors.New("Only one CONTEXT attribute can be defined.")
	case all[0].Vec == nil:
		return errors.New("Wrong format for CONTEXT attribute.")
	}
	context := all[0].Vec
	files := context.Get("FILES_DS")
	context.Del("FILES_DS")
	var networks map[string]string
	if on, _ := context.Bool("NETWORK"); on {
		networks = b.contextNetworks(context)
	}
	if err := b.contextVariables(context, networks); err != nil {
		return err
	}
	if files != "" {
		text, err := b.contextFiles(files)
		if err != nil {
			return err
		}
		context.Set("FILES_DS", text)
	}
	if on, _ := context.Bool("TOKEN"); on {
		endpoint := firstOf(context.Get("ONEGATE_ENDPOINT"), b.tx.Conf.OneGateEndpoint)
		if endpoint == "" {
			return errors.New("CONTEXT/TOKEN set, but OneGate endpoint was not defined in oned.conf or CONTEXT.")
		}
		context.Set("ONEGATE_URL", endpoint+"/vm/"+strconv.Itoa(b.vm.ID))
	}
	return nil
}

func (b *builder) contextFiles(text string) (string, error) {
	files, err := b.files(text)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, img := range files {
		if img.Type != image.Context {
			return "", errors.New("Only images of type CONTEXT can be used in FILE_DS attribute.")
		}
		if img.State != image.Ready {
			return "", fmt.Errorf("CONTEXT Image '%d' not in READY state.", img.ID)
		}
		out.WriteString(img.Source + ":'" + img.Name + "' ")
	}
	return out.String(), nil
}

// contextNetworks writes what a guest has to know of each of its NICs. The attributes of networks are variables, for the text that errors
// show; the result has their values, since other networks may have the same name.
func (b *builder) contextNetworks(context *template.Vector) map[string]string {
	values := map[string]string{}
	for _, nic := range b.vm.Template.Vectors("NIC") {
		eth := "ETH" + nic.Get("NIC_ID") + "_"
		context.Set(eth+"IP", nic.Get("IP"))
		context.Set(eth+"MAC", nic.Get("MAC"))
		var t *template.Template
		if n := b.networkOf(nic); n != nil {
			t = n.Template
		}
		set := func(key, attribute string) {
			context.Set(eth+key, "$NETWORK["+attribute+", NETWORK=\""+nic.Get("NETWORK")+"\"]")
			values[eth+key] = t.Get(attribute)
		}
		set("NETWORK", "NETWORK_ADDRESS")
		set("MASK", "NETWORK_MASK")
		set("GATEWAY", "GATEWAY")
		set("DNS", "DNS")
		set("SEARCH_DOMAIN", "SEARCH_DOMAIN")
		if global := nic.Get("IP6_GLOBAL"); global != "" {
			context.Set(eth+"IP6", global)
			set("GATEWAY6", "GATEWAY6")
			set("CONTEXT_FORCE_IPV4", "CONTEXT_FORCE_IPV4")
		}
	}
	return values
}

// networkOf is the network that a completed NIC is in.
func (b *builder) networkOf(nic *template.Vector) *vnet.VNet {
	id, err := strconv.Atoi(nic.Get("NETWORK_ID"))
	if err != nil {
		return nil
	}
	return b.tx.Nets.Get(id)
}

// contextVariables replaces the variables in all values at once: 4.6 quotes all of them when one is wrong. What is known need not be
// looked for.
func (b *builder) contextVariables(context *template.Vector, known map[string]string) error {
	pairs := context.Pairs()
	joined := make([]string, 0, len(pairs))
	asked := false
	for _, p := range pairs {
		joined = append(joined, p.Key+"="+p.Value)
		if value, is := known[p.Key]; is {
			context.Set(p.Key, value)
		} else {
			asked = asked || hasVariable(p.Key) || hasVariable(p.Value)
		}
	}
	if !asked && len(pairs) > 0 {
		return nil
	}
	text := strings.Join(joined, contextSeparator)
	if _, err := substitute.Parse(text); err != nil {
		return errors.New("Error parsing: " + text + ". " + err.Error())
	}
	holder := b.vm.Template.Take("CONTEXT")
	defer b.vm.Template.Add(holder[0])
	hidden := b.hide()
	defer hidden()
	for _, p := range pairs {
		if _, is := known[p.Key]; is {
			continue
		}
		value, err := b.substituteQuoted(p.Value, text)
		if err != nil {
			return err
		}
		context.Set(p.Key, value)
	}
	return nil
}

// hide takes away the sections that variables of CONTEXT cannot see; the result puts them back.
func (b *builder) hide() func() {
	var taken []template.Attr
	for _, name := range []string{"GRAPHICS", "INPUT", "FEATURES", "RAW"} {
		taken = append(taken, b.vm.Template.Take(name)...)
	}
	return func() {
		for _, a := range taken {
			b.vm.Template.Add(a)
		}
	}
}

// hasVariable tells whether there is anything to replace.
func hasVariable(text string) bool { return strings.IndexByte(text, '$') >= 0 }

// substitute replaces the variables of a text.
func (b *builder) substitute(text string) (string, error) {
	if text != "" && !hasVariable(text) {
		return text, nil
	}
	parts, err := substitute.Parse(text)
	if err != nil {
		return "", errors.New("Error parsing: " + text + ". " + err.Error())
	}
	return b.expand(parts), nil
}

// substituteQuoted replaces the variables of one value of a joined text, which was found to be right as a whole.
func (b *builder) substituteQuoted(value, whole string) (string, error) {
	if !hasVariable(value) {
		return value, nil
	}
	// In the joined text the separator follows each value, so what ends a variable there is a blank.
	parts, err := substitute.Parse(value + " ")
	if err != nil {
		return "", errors.New("Error parsing: " + whole + ". " + err.Error())
	}
	return strings.TrimSuffix(b.expand(parts), " "), nil
}

func (b *builder) expand(parts []substitute.Part) string {
	var out strings.Builder
	for _, p := range parts {
		if p.Var == nil {
			out.WriteString(p.Literal)
			continue
		}
		out.WriteString(b.value(p.Var))
		out.WriteString(p.Var.Follow)
	}
	return out.String()
}

// value is what a variable stands for; unknown ones are empty.
func (b *builder) value(v *substitute.Variable) string {
	if v.Attribute == "" {
		return b.plainValue(v.Name)
	}
	switch v.Name {
	case "NETWORK":
		return b.networkValue(v)
	case "IMAGE":
		return b.imageValue(v)
	case "USER":
		u := b.tx.Users.Get(b.vm.UID)
		if u == nil {
			return ""
		}
		if v.Attribute == "TEMPLATE" {
			return base64.StdEncoding.EncodeToString(UserDocument(b.tx.View(), u))
		}
		return u.Template.Get(v.Attribute)
	}
	for _, vec := range b.vm.Template.Vectors(v.Name) {
		if v.Key == "" || vec.Get(v.Key) == v.Value {
			return vec.Get(v.Attribute)
		}
	}
	return ""
}

func (b *builder) plainValue(name string) string {
	switch name {
	case "NAME":
		return b.vm.Name
	case "UID":
		return strconv.Itoa(b.vm.UID)
	case "GID":
		return strconv.Itoa(b.vm.GID)
	case "UNAME":
		return b.vm.UName
	case "GNAME":
		return b.vm.GName
	case "TEMPLATE":
		return base64.StdEncoding.EncodeToString(b.vm.PoolXML())
	}
	if value := b.vm.Template.Get(name); value != "" {
		return value
	}
	return b.vm.UserTemplate.Get(name)
}

// networkValue looks at the networks of the VM's NICs only.
func (b *builder) networkValue(v *substitute.Variable) string {
	for _, nic := range b.vm.Template.Vectors("NIC") {
		n := b.networkOf(nic)
		if n == nil || !(v.Key == "NETWORK" && n.Name == v.Value || v.Key == "NETWORK_ID" && strconv.Itoa(n.ID) == v.Value) {
			continue
		}
		if v.Attribute == "TEMPLATE" {
			return base64.StdEncoding.EncodeToString(n.InfoXML())
		}
		return n.Template.Get(v.Attribute)
	}
	return ""
}

// imageValue looks at the images of the VM's disks only.
func (b *builder) imageValue(v *substitute.Variable) string {
	for _, d := range b.disks {
		img := d.image
		if img == nil || !(v.Key == "IMAGE" && img.Name == v.Value || v.Key == "IMAGE_ID" && strconv.Itoa(img.ID) == v.Value) {
			continue
		}
		if v.Attribute == "TEMPLATE" {
			return base64.StdEncoding.EncodeToString(img.PoolXML())
		}
		return img.Template.Get(v.Attribute)
	}
	return ""
}
