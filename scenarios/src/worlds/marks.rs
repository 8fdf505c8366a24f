//! Coverage marks: places of a world that a run of many seeds has to come by. One that nobody comes
//! by is a fault, a sense or a state that is not tested any more.

/// Declares the marks with what they are called and what they mean.
macro_rules! marks {
    ($($name:ident $word:literal $what:literal,)*) => {
        /// A place to come by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mark {
            $(#[doc = $what] $name,)*
        }

        impl Mark {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// What it is called.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $word),* }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $what),* }
            }
        }
    };
}

marks! {
    LoggedIn "login.done" "A session was opened.",
}

/// How often each was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    own: [u64; Mark::ALL.len()],
    /// Those of the fake Gluster, by its own numbers.
    volume: [u64; gluster_mock::Mark::ALL.len()],
}

impl Default for Marks {
    fn default() -> Self {
        Self {
            own: [0; Mark::ALL.len()],
            volume: [0; gluster_mock::Mark::ALL.len()],
        }
    }
}

impl Marks {
    /// Came by.
    pub fn hit(&mut self, mark: Mark) {
        self.own[mark as usize] += 1;
    }

    /// How often.
    pub fn count(&self, mark: Mark) -> u64 {
        self.own[mark as usize]
    }

    /// What a volume came by.
    pub fn add_volume(&mut self, marks: &gluster_mock::marks::Marks) {
        for (own, &mark) in self.volume.iter_mut().zip(gluster_mock::Mark::ALL) {
            *own += marks.count(mark);
        }
    }

    /// Both runs together.
    pub fn merge(&mut self, other: &Self) {
        let pairs = self.own.iter_mut().zip(other.own);
        pairs.for_each(|(own, more)| *own += more);
        let pairs = self.volume.iter_mut().zip(other.volume);
        pairs.for_each(|(own, more)| *own += more);
    }

    /// Every mark with how often it was passed: its name, what it means, the count. Those of the
    /// fake Gluster are named `volume.…`; those that only locks and fencing reach are not among
    /// them.
    pub fn all(&self) -> Vec<(String, &'static str, u64)> {
        let own = Mark::ALL.iter().map(|&mark| {
            let count = self.count(mark);
            (mark.name().to_owned(), mark.meaning(), count)
        });
        let volume = gluster_mock::Mark::ALL.iter().zip(self.volume);
        let volume = volume
            .filter(|(mark, _)| is_expected(**mark))
            .map(|(mark, count)| (format!("volume.{}", mark.name()), mark.meaning(), count));
        own.chain(volume).collect()
    }
}

/// Whether worlds can come by that mark of the fake Gluster.
fn is_expected(_mark: gluster_mock::Mark) -> bool {
    true
}
