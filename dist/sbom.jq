# `cargo metadata` in, CycloneDX out; see dist/sbom.

# Cargo.lock's checksums by "name version"; they are those of the files that crates.io hands out.
def checksums:
  [$lock | scan("name = \"([^\"]+)\"\nversion = \"([^\"]+)\"\nsource = \"[^\"]+\"\nchecksum = \"([0-9a-f]+)\"")]
  | map({key: "\(.[0]) \(.[1])", value: .[2]}) | from_entries;

def name_version: "\(.name) \(.version)";

def reference: if .source then "pkg:cargo/\(.name)@\(.version)" else name_version end;

def component($sums):
  {type: "library", name, version, "bom-ref": reference}
  + if .source then {purl: reference} else {} end
  + if .license then {licenses: [{expression: .license | gsub("/"; " OR ")}]} else {} end
  + ($sums[name_version] as $sum | if $sum then {hashes: [{alg: "SHA-256", content: $sum}]} else {} end);

def libraries:
  {type: "library", name: "rust-std", version: $rust, "bom-ref": "rust-std", licenses: [{expression: "MIT OR Apache-2.0"}]},
  {type: "library", name: "glibc", version: $glibc, "bom-ref": "glibc", licenses: [{expression: "LGPL-2.1-or-later"}]};

# `cargo metadata` also has what only the tests' features ask for; the tree is that of the products alone.
($tree | split("\n")) as $names
| [.packages[] | select(name_version as $name | $names | index($name))] as $packages
| ($packages | map({key: .id, value: reference}) | from_entries) as $references
| checksums as $sums
| ($packages[] | select(.name == "vrfrun") | .version) as $version
| {
    bomFormat: "CycloneDX", specVersion: "1.5", version: 1,
    metadata: {
      timestamp: ($time | todate),
      component: {type: "application", name: "vrfrun", $version, "bom-ref": $triple}
    },
    components: ([$packages[] | component($sums)] + [libraries] | sort_by(."bom-ref")),
    dependencies: (
      [{ref: $triple, dependsOn: ([$packages[] | select(.name == ("vrfrun", "vrfsetup", "vrfshim")) | reference] + ["glibc", "rust-std"])}]
      + [.resolve.nodes[] | select($references[.id]) | {
          ref: $references[.id],
          dependsOn: [.deps[] | select(any(.dep_kinds[]; .kind == null)) | $references[.pkg] // empty] | unique
        }]
      | sort_by(.ref))
  }
