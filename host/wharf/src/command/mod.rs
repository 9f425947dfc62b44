//! One file a command.

mod cancel;
mod channel;
mod compile_plugin;
mod config;
mod dead_letter;
mod delivery;
mod init;
mod journal;
mod message;
mod page;
mod parked;
mod plugin;
mod route;
mod send;
mod serve;
mod store;
mod why;

use wharf_api::Client;

use crate::arguments::{
    Arguments, Channel, Command, Config, DeadLetter, Delivery, Host, Parked, Plugin, Route,
};
use crate::failure::Failure;

pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Init(arguments) => init::run(&arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Send(arguments) => send::run(arguments),
        Command::Get(arguments) => message::get(&arguments),
        Command::Why(arguments) => why::run(&arguments),
        Command::Journal(arguments) => journal::journal(&arguments),
        Command::Cancel(arguments) => cancel::run(&arguments),
        Command::Delivery(Delivery::List(arguments)) => delivery::list(&arguments),
        Command::DeadLetter(DeadLetter::List(arguments)) => dead_letter::list(&arguments),
        Command::DeadLetter(DeadLetter::Redrive(arguments)) => dead_letter::redrive(&arguments),
        Command::Parked(Parked::List(arguments)) => parked::list(&arguments),
        Command::Channel(Channel::List(arguments)) => channel::list(&arguments),
        Command::Channel(Channel::Pause(arguments)) => channel::pause(&arguments),
        Command::Channel(Channel::Resume(arguments)) => channel::resume(&arguments),
        Command::Plugin(Plugin::List(arguments)) => plugin::list(&arguments),
        Command::Plugin(Plugin::Check(arguments)) => plugin::check(&arguments),
        Command::Route(Route::List(arguments)) => route::list(&arguments),
        Command::Route(Route::Put(arguments)) => route::put(&arguments),
        Command::Route(Route::Explain(arguments)) => route::explain(&arguments),
        Command::Store(arguments) => store::run(arguments),
        Command::Config(Config::Check(arguments)) => config::check(arguments),
        Command::Config(Config::Reload(arguments)) => config::reload(&arguments),
        Command::CompilePlugin(arguments) => compile_plugin::run(&arguments),
    }
}

fn client(host: &Host) -> Client {
    Client::new(&host.url, host.token.clone())
}
