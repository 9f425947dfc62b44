//! Where the configuration comes from: to be read again while the host runs.

use std::path::{Path, PathBuf};

use super::{Config, Overrides, Problems, resolve};

/// A configuration file, and what is put over it.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    overrides: Overrides,
}

impl Source {
    /// Reads nothing yet.
    pub fn new(path: impl Into<PathBuf>, overrides: Overrides) -> Self {
        Self {
            path: path.into(),
            overrides,
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads and checks it.
    pub fn load(&self) -> Result<Config, Problems> {
        resolve::load(&self.path, self.overrides.clone())
    }

    /// The same, as if this stood in the file of routes.
    pub(crate) fn load_with_routes(&self, routes: &str) -> Result<Config, Problems> {
        resolve::load_with_routes(&self.path, self.overrides.clone(), routes)
    }
}
