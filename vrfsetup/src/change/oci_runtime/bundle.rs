//! The configuration of a container (config.json of the OCI runtime specification). Pure.

use std::path::Path;

use serde_json::{Value, json};
use vrfabi::container::ANNOTATION;

/// Adds the hook, by this program, where the annotation names a VRF. Whether it names one.
///
/// # Errors
/// What stands in the hook's place is no list of hooks.
pub fn add_hook(config: &mut Value, program: &Path) -> Result<bool, String> {
    // runc takes a key in capitals for the same.
    let is_theirs =
        |(key, value): (&String, &Value)| key.eq_ignore_ascii_case("annotations") && value.get(ANNOTATION).is_some();
    if !config.as_object().is_some_and(|config| config.iter().any(is_theirs)) {
        return Ok(false);
    }
    let hook = json!({"path": program, "args": ["vrfsetup", "oci-hook"]});
    let Some(config) = config.as_object_mut() else { return Err("not an object".to_owned()) };
    if let Some(key) = config.keys().find(|key| key.eq_ignore_ascii_case("hooks") && *key != "hooks") {
        return Err(format!("{key}: written 'hooks' everywhere else"));
    }
    let hooks = place(config.entry("hooks").or_insert(Value::Null), json!({}));
    let Some(hooks) = hooks.as_object_mut() else { return Err("hooks: not an object".to_owned()) };
    let stage = place(hooks.entry("createRuntime").or_insert(Value::Null), json!([]));
    let Some(stage) = stage.as_array_mut() else { return Err("hooks.createRuntime: not a list".to_owned()) };
    if !stage.contains(&hook) {
        stage.push(hook);
    }
    Ok(true)
}

/// null is what is not there.
fn place(value: &mut Value, empty: Value) -> &mut Value {
    if value.is_null() {
        *value = empty;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_hook(mut config: Value) -> (Result<bool, String>, Value) {
        let added = add_hook(&mut config, Path::new("/usr/sbin/vrfsetup"));
        (added, config)
    }

    #[test]
    fn a_container_whose_annotation_names_a_vrf_gets_the_hook_once() {
        let hook = json!({"path": "/usr/sbin/vrfsetup", "args": ["vrfsetup", "oci-hook"]});
        let other = json!({"path": "/bin/other"});
        for (hooks, expected) in [
            (Value::Null, json!({"createRuntime": [hook]})),
            (json!({"createRuntime": null}), json!({"createRuntime": [hook]})),
            (
                json!({"createRuntime": [other], "poststop": [other]}),
                json!({"createRuntime": [other, hook], "poststop": [other]}),
            ),
            (json!({"createRuntime": [hook]}), json!({"createRuntime": [hook]})),
        ] {
            let (added, config) = with_hook(json!({"annotations": {ANNOTATION: "blue"}, "hooks": hooks}));
            assert_eq!((added, &config["hooks"]), (Ok(true), &expected));
        }
        assert_eq!(with_hook(json!({"Annotations": {ANNOTATION: "blue"}})).0, Ok(true));
        assert!(with_hook(json!({"annotations": {ANNOTATION: "blue"}, "Hooks": {}})).0.is_err());
        // Whatever stands there, the hook judges it.
        assert_eq!(with_hook(json!({"annotations": {ANNOTATION: ["a/b"]}})).0, Ok(true));
    }

    #[test]
    fn another_container_stays_as_it_is() {
        for config in
            [json!({}), json!({"annotations": null}), json!({"annotations": {"x": "blue"}, "hooks": {"prestart": []}})]
        {
            assert_eq!(with_hook(config.clone()), (Ok(false), config));
        }
    }

    #[test]
    fn what_is_no_list_of_hooks_is_refused() {
        for hooks in [json!([]), json!("x"), json!({"createRuntime": {}})] {
            assert!(with_hook(json!({"annotations": {ANNOTATION: "blue"}, "hooks": hooks})).0.is_err());
        }
    }
}
