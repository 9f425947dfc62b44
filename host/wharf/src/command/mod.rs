//! One file a command.

mod compile_plugin;
mod config;
mod init;
mod message;
mod plugin;
mod send;
mod serve;
mod why;

use wharf_api::Client;

use crate::arguments::{Arguments, Command, Config, Host, Plugin};
use crate::failure::Failure;

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Init(arguments) => init::run(&arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Send(arguments) => send::run(arguments),
        Command::Get(arguments) => message::get(&arguments),
        Command::Why(arguments) => why::run(&arguments),
        Command::Journal(arguments) => message::journal(&arguments),
        Command::Plugin(Plugin::List(arguments)) => plugin::list(&arguments),
        Command::Plugin(Plugin::Check(arguments)) => plugin::check(&arguments),
        Command::Config(Config::Check(arguments)) => config::check(arguments),
        Command::CompilePlugin(arguments) => compile_plugin::run(&arguments),
    }
}

fn client(host: &Host) -> Client {
    Client::new(&host.url, host.token.clone())
}
