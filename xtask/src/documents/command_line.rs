//! The command line as clap's derive macros describe it: commands and their options, read off the source by
//! syn. So options need not be listed a second time, and no binary has to be built to be asked.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use syn::{
    Attribute, Expr, ExprLit, Field, Fields, GenericArgument, Item, Lit, Meta, PathArguments,
    Token, Type, Variant, punctuated::Punctuated,
};

use super::source::{Names, Source, split_words};

/// The commands of a program, by the words behind its name: `task create`, and none for itself.
#[derive(Debug, Default)]
pub(super) struct CommandLine {
    pub(super) commands: BTreeMap<String, Command>,
    /// Environment variables that stand for options.
    pub(super) variables: Names,
}

/// A command.
#[derive(Debug, Default)]
pub(super) struct Command {
    /// Every spelling, as in `-i` and `--interface`. Hidden ones are left out.
    pub(super) options: Names,
    /// Whether it has commands of its own.
    pub(super) is_group: bool,
}

/// What one structure of arguments says.
#[derive(Clone, Debug, Default)]
struct Arguments {
    options: Names,
    /// Also options of all commands below.
    global: Names,
    variables: Names,
    /// The enum of its commands.
    below: Option<String>,
}

impl CommandLine {
    /// Reads the structures that derive `Parser`, `Args` and `Subcommand`.
    pub(super) fn of(source: &Source) -> Result<Self> {
        let types = Types::of(source)?;
        let [root] = types.roots.as_slice() else {
            bail!(
                "{} structures derive `Parser`; one is expected",
                types.roots.len()
            );
        };
        let mut line = Self::default();
        let mut arguments = types.arguments(root)?;
        // clap adds them; `version` of a command is another thing than an option.
        arguments.global.extend(["-h", "--help"].map(str::to_owned));
        if types.has_version(root) {
            arguments
                .options
                .extend(["-V", "--version"].map(str::to_owned));
        }
        line.add(&types, String::new(), arguments, &Names::new())?;
        Ok(line)
    }

    /// Every option of every command.
    pub(super) fn options(&self) -> impl Iterator<Item = &String> {
        self.commands.values().flat_map(|command| &command.options)
    }

    fn add(
        &mut self,
        types: &Types<'_>,
        path: String,
        arguments: Arguments,
        inherited: &Names,
    ) -> Result<()> {
        let Arguments {
            options,
            global,
            variables,
            below,
        } = arguments;
        let global: Names = inherited.union(&global).cloned().collect();
        self.variables.extend(variables);
        let command = Command {
            options: options.union(&global).cloned().collect(),
            is_group: below.is_some(),
        };
        if let Some(below) = below {
            for (name, arguments) in types.commands(&below)? {
                let path = format!("{path} {name}").trim().to_owned();
                self.add(types, path, arguments, &global)?;
            }
        }
        self.commands.insert(path, command);
        Ok(())
    }
}

/// Every option of every structure of arguments, whichever command it belongs to.
pub(super) fn every_option(source: &Source) -> Result<Names> {
    let mut all = Arguments::default();
    for item in source.items() {
        let Item::Struct(item) = item else { continue };
        let derived = derived(&item.attrs);
        if derived.contains("Parser") || derived.contains("Args") {
            for field in &item.fields {
                all.option(field)?;
            }
        }
    }
    Ok(all.options.union(&all.global).cloned().collect())
}

/// The structures of a command line, by name.
struct Types<'a> {
    roots: Vec<String>,
    structs: BTreeMap<String, (&'a [Attribute], &'a Fields)>,
    enums: BTreeMap<String, &'a Punctuated<Variant, Token![,]>>,
}

impl<'a> Types<'a> {
    fn of(source: &'a Source) -> Result<Self> {
        let mut types = Self {
            roots: Vec::new(),
            structs: BTreeMap::new(),
            enums: BTreeMap::new(),
        };
        for item in source.items() {
            match item {
                Item::Struct(item) => {
                    let derived = derived(&item.attrs);
                    if derived.contains("Parser") {
                        types.roots.push(item.ident.to_string());
                    }
                    if derived.contains("Parser") || derived.contains("Args") {
                        let known = (item.attrs.as_slice(), &item.fields);
                        let before = types.structs.insert(item.ident.to_string(), known);
                        if before.is_some() {
                            bail!("two structures of arguments are called {}", item.ident);
                        }
                    }
                }
                Item::Enum(item) if derived(&item.attrs).contains("Subcommand") => {
                    types.enums.insert(item.ident.to_string(), &item.variants);
                }
                _ => {}
            }
        }
        Ok(types)
    }

    fn has_version(&self, name: &str) -> bool {
        let attributes = self
            .structs
            .get(name)
            .map_or(&[][..], |(attributes, _)| attributes);
        metas(attributes, "command").any(|meta| meta.path().is_ident("version"))
    }

    fn arguments(&self, name: &str) -> Result<Arguments> {
        let (_, fields) = self
            .structs
            .get(name)
            .with_context(|| format!("no structure of arguments {name}"))?;
        self.of_fields(fields)
    }

    fn of_fields(&self, fields: &Fields) -> Result<Arguments> {
        let mut all = Arguments::default();
        for field in fields {
            let is =
                |word: &str| metas(&field.attrs, "command").any(|meta| meta.path().is_ident(word));
            if is("subcommand") {
                all.below = Some(named(&field.ty)?);
            } else if is("flatten") {
                let Arguments {
                    options,
                    global,
                    variables,
                    below: _,
                } = self.arguments(&named(&field.ty)?)?;
                all.options.extend(options);
                all.global.extend(global);
                all.variables.extend(variables);
            } else {
                all.option(field)?;
            }
        }
        Ok(all)
    }

    /// The commands of an enum, each with its arguments.
    fn commands(&self, name: &str) -> Result<Vec<(String, Arguments)>> {
        let variants = self
            .enums
            .get(name)
            .with_context(|| format!("no enum of commands {name}"))?;
        let commands = variants.iter().map(|variant| {
            let given = metas(&variant.attrs, "command").find_map(|meta| text_of(&meta, "name"));
            let name = given.unwrap_or_else(|| split_words(&variant.ident.to_string(), '-'));
            let is_group =
                metas(&variant.attrs, "command").any(|meta| meta.path().is_ident("subcommand"));
            let arguments = match &variant.fields {
                Fields::Unnamed(fields) => {
                    let field = fields
                        .unnamed
                        .first()
                        .context("a command without arguments")?;
                    match (is_group, named(&field.ty)?) {
                        (true, below) => Arguments {
                            below: Some(below),
                            ..Arguments::default()
                        },
                        (false, name) => self.arguments(&name)?,
                    }
                }
                fields => self.of_fields(fields)?,
            };
            Ok((name, arguments))
        });
        commands.collect()
    }
}

impl Arguments {
    /// Takes an option; what has neither a short nor a long name is an operand.
    fn option(&mut self, field: &Field) -> Result<()> {
        let name = field.ident.as_ref().context("an argument without a name")?;
        let name = name.to_string().replace('_', "-");
        let mut spellings = Names::new();
        let (mut is_hidden, mut is_global) = (false, false);
        for meta in metas(&field.attrs, "arg") {
            let key = meta
                .path()
                .get_ident()
                .map(ToString::to_string)
                .unwrap_or_default();
            match key.as_str() {
                "short" | "visible_short_alias" => {
                    let first = name.chars().next().unwrap_or_default();
                    spellings.insert(format!("-{}", char_of(&meta).unwrap_or(first)));
                }
                "long" | "visible_alias" => {
                    let given = text_of(&meta, &key).unwrap_or_else(|| name.clone());
                    spellings.insert(format!("--{given}"));
                }
                "visible_aliases" | "visible_short_aliases" => {
                    bail!("`{key}` of {name} is not understood here; teach it")
                }
                "env" => {
                    let given = text_of(&meta, "env");
                    self.variables
                        .insert(given.with_context(|| format!("the variable of {name}"))?);
                }
                "hide" => is_hidden = true,
                "global" => is_global = true,
                _ => {}
            }
        }
        if is_hidden {
            return Ok(());
        }
        match is_global {
            true => self.global.extend(spellings),
            false => self.options.extend(spellings),
        }
        Ok(())
    }
}

/// What an item derives, by the last names of the paths.
fn derived(attributes: &[Attribute]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for meta in metas(attributes, "derive") {
        names.extend(
            meta.path()
                .segments
                .last()
                .map(|last| last.ident.to_string()),
        );
    }
    names
}

/// What stands in attributes of this name.
fn metas<'a>(attributes: &'a [Attribute], name: &'a str) -> impl Iterator<Item = Meta> + 'a {
    attributes
        .iter()
        .filter(move |attribute| attribute.path().is_ident(name))
        .filter_map(|attribute| {
            let list = Punctuated::<Meta, Token![,]>::parse_terminated;
            attribute.parse_args_with(list).ok()
        })
        .flatten()
}

fn literal<'m>(meta: &'m Meta, name: &str) -> Option<&'m Lit> {
    match meta {
        Meta::NameValue(pair) if pair.path.is_ident(name) => match &pair.value {
            Expr::Lit(ExprLit { lit, .. }) => Some(lit),
            _ => None,
        },
        _ => None,
    }
}

fn text_of(meta: &Meta, name: &str) -> Option<String> {
    match literal(meta, name)? {
        Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

fn char_of(meta: &Meta) -> Option<char> {
    let name = meta.path().get_ident()?.to_string();
    match literal(meta, &name)? {
        Lit::Char(char) => Some(char.value()),
        _ => None,
    }
}

/// The name of a type, without the `Box` or `Option` around it.
fn named(given: &Type) -> Result<String> {
    let Type::Path(path) = given else {
        bail!("arguments have a type with a name");
    };
    let last = path.path.segments.last().context("a type has a name")?;
    match &last.arguments {
        PathArguments::AngleBracketed(inner) => match inner.args.first() {
            Some(GenericArgument::Type(inner)) => named(inner),
            _ => bail!("{} has no type in it", last.ident),
        },
        _ => Ok(last.ident.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
        #[derive(Debug, Parser)]
        #[command(name = "x", version)]
        struct Root {
            #[arg(short, long, global = true, action = ArgAction::Count)]
            verbose: u8,
            #[command(subcommand)]
            command: Command,
        }
        #[derive(clap::Subcommand)]
        enum Command {
            /// Runs.
            #[command(override_usage = "run", after_help = EXAMPLES)]
            Run(Box<RunArgs>),
            #[command(subcommand)]
            Task(TaskCommand),
            Completions { shell: Shell },
        }
        #[derive(clap::Subcommand)]
        enum TaskCommand { Create(RunArgs), DryRun(Form) }
        #[derive(Args)]
        struct RunArgs {
            #[command(flatten)]
            form: Form,
            #[arg(short = 'Q', long, value_name = "WAY", value_parser = Words::of::<Direction>())]
            direction: Option<String>,
            #[arg(long, visible_alias = "count", conflicts_with_all = ["Form", "write"])]
            max_packets: Option<String>,
            #[arg(long, hide = true)]
            secret: bool,
            #[arg(value_name = "FILE")]
            file: PathBuf,
        }
        #[derive(Args)]
        struct Form {
            #[arg(short, long, env = "X_FORM")]
            output: String,
        }
    "#;

    #[test]
    fn commands_and_their_options() {
        let line = CommandLine::of(&Source::parse(SOURCE)).expect("it is understood");
        let paths: Vec<_> = line.commands.keys().map(String::as_str).collect();
        assert_eq!(
            paths,
            [
                "",
                "completions",
                "run",
                "task",
                "task create",
                "task dry-run"
            ]
        );
        let options = |path: &str| {
            let options: Vec<_> = line.commands[path].options.iter().cloned().collect();
            options.join(" ")
        };
        assert_eq!(options(""), "--help --verbose --version -V -h -v");
        assert_eq!(
            options("run"),
            "--count --direction --help --max-packets --output --verbose -Q -h -o -v"
        );
        assert_eq!(
            options("task dry-run"),
            "--help --output --verbose -h -o -v"
        );
        assert!(line.commands["task"].is_group && !line.commands["run"].is_group);
        assert_eq!(line.variables, ["X_FORM".to_owned()].into());
    }

    #[test]
    fn options_of_whatever_command() {
        let options = every_option(&Source::parse(SOURCE)).expect("it is understood");
        assert!(options.contains("--max-packets") && options.contains("-v"));
        assert!(!options.contains("--secret"));
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let twice = format!("{SOURCE} mod other {{ #[derive(Args)] struct Form {{}} }}");
        assert!(CommandLine::of(&Source::parse(&twice)).is_err());
        assert!(CommandLine::of(&Source::parse("struct Root;")).is_err());
        let source = SOURCE.replace(
            "visible_alias = \"count\"",
            "visible_aliases = [\"a\", \"b\"]",
        );
        assert!(CommandLine::of(&Source::parse(&source)).is_err());
    }
}
