//! The source of a crate without its tests, parsed by syn, and what can be read off it: variants, fields, keys
//! of the configuration, metrics, environment variables. [`reference`](super::reference) asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result, bail};
use syn::{
    Expr, ExprLit, Fields, Item, ItemEnum, ItemStruct, Lit,
    visit::{self, Visit},
};

use crate::{layers::is_test, workspace};

/// Names, sorted.
pub(super) type Names = BTreeSet<String>;

/// What every metric begins with.
const METRIC: &str = "capture_agent_";

/// The files of a crate, parsed.
pub(super) struct Source {
    name: String,
    files: Vec<syn::File>,
}

impl Source {
    /// Reads a crate of the workspace.
    pub(super) fn of(name: &str) -> Result<Self> {
        let src = workspace::root().join(name).join("src");
        let mut roots: Vec<_> = ["lib.rs", "main.rs"].map(|file| src.join(file)).into();
        if let Ok(binaries) = fs::read_dir(src.join("bin")) {
            roots.extend(binaries.flatten().map(|entry| entry.path()));
        }
        let mut files = Vec::new();
        for root in roots.iter().filter(|root| root.is_file()) {
            let beside = root.parent().unwrap_or(&src);
            read(root, beside, &mut files)?;
        }
        Ok(Self {
            name: name.to_owned(),
            files,
        })
    }

    /// A crate of one file.
    #[cfg(test)]
    pub(super) fn parse(text: &str) -> Self {
        Self {
            name: "a crate".to_owned(),
            files: vec![syn::parse_str(text).expect("Rust")],
        }
    }

    /// All items, those of inner modules too.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.files.iter().flat_map(|file| flat(&file.items))
    }

    fn enumeration(&self, name: &str) -> Result<&ItemEnum> {
        let found = self.items().find_map(|item| match item {
            Item::Enum(item) if item.ident == name => Some(item),
            _ => None,
        });
        found.with_context(|| format!("{} has no enum {name}; where are its words now?", self.name))
    }

    fn structure(&self, name: &str) -> Result<&ItemStruct> {
        let found = self.items().find_map(|item| match item {
            Item::Struct(item) if item.ident == name => Some(item),
            _ => None,
        });
        found.with_context(|| {
            format!(
                "{} has no struct {name}; where are its fields now?",
                self.name
            )
        })
    }

    /// The variants of an enum, as serde spells them by `rename_all = "snake_case"`.
    pub(super) fn variants(&self, name: &str) -> Result<Names> {
        let variants = &self.enumeration(name)?.variants;
        let names = variants.iter();
        Ok(names
            .map(|one| split_words(&one.ident.to_string(), '_'))
            .collect())
    }

    /// The numbers of an enum.
    pub(super) fn discriminants(&self, name: &str) -> Result<Names> {
        let variants = &self.enumeration(name)?.variants;
        let numbers = variants.iter().map(|variant| match &variant.discriminant {
            Some((
                _,
                Expr::Lit(ExprLit {
                    lit: Lit::Int(number),
                    ..
                }),
            )) => Ok(number.base10_digits().to_owned()),
            _ => bail!("{name}::{} has no number", variant.ident),
        });
        numbers.collect()
    }

    /// The fields of a struct.
    pub(super) fn fields(&self, name: &str) -> Result<Names> {
        let Fields::Named(fields) = &self.structure(name)?.fields else {
            bail!("{name} has no named fields");
        };
        let names = fields.named.iter().filter_map(|field| field.ident.as_ref());
        Ok(names.map(ToString::to_string).collect())
    }

    /// The keys of the configuration, as in `paths.database`: `section(…, "paths", Self::paths)` names a section
    /// and the function that reads it, in which `given(…, "listen", …)` and `or(…, "database", …)` name its keys.
    pub(super) fn configuration(&self) -> Result<Names> {
        let mut keys = Keys::default();
        self.visit(&mut keys);
        let mut names = Names::new();
        for (section, function) in &keys.sections {
            let keys = keys.of.get(function);
            let keys = keys.with_context(|| format!("the keys of [{section}] are not found"))?;
            names.extend(keys.iter().map(|key| format!("{section}.{key}")));
        }
        if names.is_empty() {
            bail!("no key of the configuration is found in {}", self.name);
        }
        Ok(names)
    }

    /// The metrics: all names in its texts that begin as metrics do.
    pub(super) fn metrics(&self) -> Result<Names> {
        let mut texts = Texts::default();
        self.visit(&mut texts);
        let names: Names = texts.0.iter().flat_map(|text| metrics_in(text)).collect();
        if names.is_empty() {
            bail!("no metric is found in {}", self.name);
        }
        Ok(names)
    }

    /// The environment variables that it reads.
    pub(super) fn variables(&self) -> Result<Names> {
        let mut constants = Constants::default();
        self.visit(&mut constants);
        let mut variables = Variables {
            constants: constants.0,
            names: Names::new(),
            unknown: Vec::new(),
        };
        self.visit(&mut variables);
        if let Some(unknown) = variables.unknown.first() {
            bail!(
                "{}: it cannot be told which variable `{unknown}` reads",
                self.name
            );
        }
        Ok(variables.names)
    }

    fn visit(&self, visitor: &mut impl for<'a> Visit<'a>) {
        for file in &self.files {
            visitor.visit_file(file);
        }
    }
}

/// Reads a file, and those of its modules, which lie in `below`; modules of tests are left out.
fn read(path: &Path, below: &Path, files: &mut Vec<syn::File>) -> Result<()> {
    let text = fs::read_to_string(path).with_context(|| workspace::shown(path))?;
    let file = syn::parse_file(&text).with_context(|| workspace::shown(path))?;
    for item in &file.items {
        if let Item::Mod(module) = item
            && module.content.is_none()
            && !is_test(&module.attrs)
        {
            let below = below.join(module.ident.to_string());
            let path = [below.with_extension("rs"), below.join("mod.rs")];
            let path = path.iter().find(|path| path.is_file());
            let path = path.with_context(|| format!("the file of module {}", module.ident))?;
            read(path, &below, files)?;
        }
    }
    files.push(file);
    Ok(())
}

fn flat(items: &[Item]) -> Vec<&Item> {
    let mut all = Vec::new();
    for item in items {
        match item {
            Item::Mod(module) if is_test(&module.attrs) => {}
            Item::Mod(module) => {
                all.extend(module.content.iter().flat_map(|(_, items)| flat(items)));
            }
            item => all.push(item),
        }
    }
    all
}

/// `MaxFileBytes` as `max_file_bytes`, or with hyphens.
pub(super) fn split_words(name: &str, between: char) -> String {
    let mut split = String::new();
    for char in name.chars() {
        if char.is_uppercase() && !split.is_empty() {
            split.push(between);
        }
        split.extend(char.to_lowercase());
    }
    split
}

/// The names of metrics in a text, without what a format puts behind `{`.
pub(super) fn metrics_in(text: &str) -> Names {
    let parts = text.split(METRIC).skip(1);
    let names = parts.map(|part| {
        let end = part.find(|char: char| !char.is_ascii_lowercase() && char != '_');
        &part[..end.unwrap_or(part.len())]
    });
    let names = names.filter(|name| !name.is_empty());
    names.map(|name| format!("{METRIC}{name}")).collect()
}

fn text_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text),
            ..
        }) => Some(text.value()),
        _ => None,
    }
}

#[derive(Default)]
struct Keys {
    function: String,
    /// Section and function.
    sections: Vec<(String, String)>,
    /// Function and keys.
    of: BTreeMap<String, Names>,
}

impl<'a> Visit<'a> for Keys {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'a syn::ImplItemFn) {
        self.function = function.sig.ident.to_string();
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        let key = call.args.iter().nth(1).and_then(text_of);
        match (
            call.method.to_string().as_str(),
            key,
            call.args.iter().nth(2),
        ) {
            ("section", Some(section), Some(Expr::Path(read))) => {
                let function = read.path.segments.last().map(|last| last.ident.to_string());
                self.sections.push((section, function.unwrap_or_default()));
            }
            ("given" | "or", Some(key), _) => {
                self.of
                    .entry(self.function.clone())
                    .or_default()
                    .insert(key);
            }
            _ => {}
        }
        visit::visit_expr_method_call(self, call);
    }
}

/// Every text of a crate, those in macros as they stand in the source.
#[derive(Default)]
struct Texts(Vec<String>);

impl<'a> Visit<'a> for Texts {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_lit_str(&mut self, text: &'a syn::LitStr) {
        self.0.push(text.value());
    }

    fn visit_macro(&mut self, used: &'a syn::Macro) {
        self.0.push(used.tokens.to_string());
    }

    /// Prose.
    fn visit_attribute(&mut self, _: &'a syn::Attribute) {}
}

/// Constants that are text.
#[derive(Default)]
struct Constants(BTreeMap<String, String>);

impl<'a> Visit<'a> for Constants {
    fn visit_item_const(&mut self, constant: &'a syn::ItemConst) {
        if let Some(text) = text_of(&constant.expr) {
            self.0.insert(constant.ident.to_string(), text);
        }
    }
}

struct Variables {
    constants: BTreeMap<String, String>,
    names: Names,
    unknown: Vec<String>,
}

impl<'a> Visit<'a> for Variables {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_expr_call(&mut self, call: &'a syn::ExprCall) {
        if let (Expr::Path(function), Some(argument)) = (&*call.func, call.args.first()) {
            let path: Vec<_> = function
                .path
                .segments
                .iter()
                .map(|one| one.ident.to_string())
                .collect();
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            if matches!(*path, [.., "env", "var" | "var_os"] | ["var_os"]) {
                let name = match argument {
                    Expr::Path(constant) => {
                        let last = constant.path.segments.last();
                        last.and_then(|last| self.constants.get(&last.ident.to_string()).cloned())
                    }
                    other => text_of(other),
                };
                match name {
                    Some(name) => {
                        self.names.insert(name);
                    }
                    None => self.unknown.push(path.join("::")),
                }
            }
        }
        visit::visit_expr_call(self, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Names {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn words_numbers_and_fields() {
        let source = Source::parse(
            "enum Why { MaxFileBytes, User } #[repr(u8)] enum Exit { Ok = 0, Lost = 7 } \
             struct Spec { name: String, max_bytes: u8 } \
             mod inner { pub enum Inner { A } } #[cfg(test)] mod tests { enum Not { B } }",
        );
        assert_eq!(
            source.variants("Why").expect("it is there"),
            names(&["max_file_bytes", "user"])
        );
        assert_eq!(
            source.variants("Inner").expect("it is there"),
            names(&["a"])
        );
        assert_eq!(
            source.discriminants("Exit").expect("it has numbers"),
            names(&["0", "7"])
        );
        assert_eq!(
            source.fields("Spec").expect("it has fields"),
            names(&["max_bytes", "name"])
        );
        assert!(source.variants("Not").is_err());
        assert!(source.discriminants("Why").is_err());
    }

    #[test]
    fn keys_of_the_configuration() {
        let source = Source::parse(
            "impl R { fn all(&mut self) { let a = self.section(&mut root, \"http\", Self::http); } \
             fn http(&mut self, s: &mut S) { self.given(s, \"listen\", address); \
             H { hosts: self.or(s, \"hosts\", list, Vec::new()) } } }",
        );
        let keys = source.configuration().expect("they are found");
        assert_eq!(keys, names(&["http.hosts", "http.listen"]));
        assert!(Source::parse("fn a() {}").configuration().is_err());
    }

    #[test]
    fn metrics_by_their_beginning() {
        let source = Source::parse(
            "fn a(f: F) { head(f, \"capture_agent_x\"); writeln!(f, \"capture_agent_y_total{{a={b}}} {c}\"); \
             head(f, &format!(\"capture_agent_{name}\")); } \
             #[cfg(test)] mod tests { const A: &str = \"capture_agent_not\"; }",
        );
        let metrics = source.metrics().expect("they are found");
        assert_eq!(
            metrics,
            names(&["capture_agent_x", "capture_agent_y_total"])
        );
    }

    #[test]
    fn variables_that_are_read() {
        let source = Source::parse(
            "const NAME: &str = \"B\"; fn a() { std::env::var(\"A\"); env::var_os(NAME); other::var(\"C\"); } \
             #[cfg(test)] mod tests { fn t() { std::env::var(\"D\"); } }",
        );
        assert_eq!(
            source.variables().expect("all are known"),
            names(&["A", "B"])
        );
        let source = Source::parse("fn a(name: &str) { std::env::var(name); }");
        assert!(source.variables().is_err());
    }
}
