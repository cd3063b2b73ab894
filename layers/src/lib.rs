//! Tower layers that serve every protocol of oneport alike.
