//! Which cgroup is a container's own. Pure.

/// The outermost cgroup on the way to this one that is called by the container's id: what `exec` starts is in it, too, where
/// the runtime has made others below it. Managers put their own names before the id: `libpod-ID.scope`, `crio-ID`.
pub fn of_container<'a>(path: &'a str, id: &str) -> Option<&'a str> {
    let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
    ends.map(|end| &path[..end]).find(|path| path.rsplit('/').next().is_some_and(|name| is_called(name, id)))
}

fn is_called(name: &str, id: &str) -> bool {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    name == id || name.strip_suffix(id).is_some_and(|before| before.ends_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_cgroup_of_this_id_is_the_containers() {
        for (path, own) in [
            ("/machine.slice/libpod-ab12.scope/container", "/machine.slice/libpod-ab12.scope"),
            ("/machine.slice/libpod-ab12.scope", "/machine.slice/libpod-ab12.scope"),
            ("/libpod_parent/libpod-ab12", "/libpod_parent/libpod-ab12"),
            ("/docker/ab12", "/docker/ab12"),
            ("/system.slice/docker-ab12.scope/init/libpod-ab12", "/system.slice/docker-ab12.scope"),
            (
                "/kubepods.slice/kubepods-pod7.slice/crio-ab12.scope",
                "/kubepods.slice/kubepods-pod7.slice/crio-ab12.scope",
            ),
            ("/x.service/libpod-payload-ab12", "/x.service/libpod-payload-ab12"),
        ] {
            assert_eq!(of_container(path, "ab12"), Some(own), "{path}");
        }
    }

    #[test]
    fn what_is_only_called_alike_is_none() {
        for path in ["/", "/user.slice/session-1.scope", "/libpod-ab123", "/libpodab12", "/ab12-x", "/machine.slice"] {
            assert_eq!(of_container(path, "ab12"), None, "{path}");
        }
        assert_eq!(of_container("/machine.slice/x", "slice"), None);
    }
}
