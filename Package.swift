// swift-tools-version: 6.2
//
// One source tree, two programs:
//   swift build, swift test                      full Swift, dynamic, for tests, sanitizers and coverage
//   swift build -c release --traits Static       Embedded Swift, one static file: what ships (see `make static`)

import PackageDescription

let shipped: BuildSettingCondition = .when(traits: ["Static"])

/// The shipped program stands on musl, as glibc's share of a static file is 675 KB before the first line of ours.
#if arch(arm64)
    let musl = "aarch64-linux-musl"
#else
    let musl = "x86_64-linux-musl"
#endif

/// musl's headers in front of the system's.
let muslHeaders = ["-isystem", "/usr/include/" + musl]

/// Settings of every Swift target. The Static trait turns the target into Embedded Swift, compiled for size.
let everywhere: [SwiftSetting] = [
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Embedded", shipped),
    .unsafeFlags(
        ["-wmo", "-Osize", "-Xfrontend", "-function-sections"] + muslHeaders.flatMap { ["-Xcc", $0] }, shipped),
]

/// Settings of every C target.
let everyC: [CSetting] = [
    .unsafeFlags(["-O2", "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra", "-Werror"]),
    .unsafeFlags(muslHeaders, shipped),
]

/// The layers that are mostly sentences: not even small functions are copied into their callers there.
let sentences = everywhere + [.unsafeFlags(["-Xllvm", "-inline-threshold=0"], shipped)]

/// The layers that decode untrusted bytes are also compiled with strict memory safety.
let untrusted = everywhere + [.strictMemorySafety()]

/// How the shipped program is linked: musl's start files in place of the compiler's choice, nothing that no one calls.
let oneStaticFile: [String] = {
    let compiler = ["-static", "-nostartfiles", "-L/usr/lib/" + musl]
    let startFiles = ["crt1.o", "crti.o", "crtn.o"].map { "/usr/lib/\(musl)/\($0)" }
    let linker = [
        "--gc-sections", "--icf=all", "-O2", "-s", "--wrap=posix_memalign",
        Context.packageDirectory + "/Sources/pram-verify/no-unwind-tables.ld",
    ]
    return ["-enable-experimental-feature", "Embedded", "-use-ld=lld"]
        + (compiler + startFiles).flatMap { ["-Xclang-linker", $0] } + linker.flatMap { ["-Xlinker", $0] }
}()

/// A C library of the system: found by the linker's own search path, no pkg-config needed.
func library(_ name: String) -> Target { .systemLibrary(name: name) }

/// The tests of one target, which may import others too.
func tests(_ target: String, _ others: String...) -> Target {
    .testTarget(
        name: target + "Tests", dependencies: ([target] + others).map { .byName(name: $0) },
        swiftSettings: [.treatAllWarnings(as: .error)],
        linkerSettings: [
            .linkedLibrary("z"), .linkedLibrary("lzma"), .linkedLibrary("zstd"), .linkedLibrary("lz4"),
            .linkedLibrary("blkid"),
        ])
}

let package = Package(
    name: "pram-verify",
    products: [.executable(name: "pram-verify", targets: ["pram-verify"])],
    traits: [.trait(name: "Static", description: "Build the static Embedded Swift program that ships.")],
    targets: [
        // C
        .target(name: "CChecksum", cSettings: everyC),
        .target(name: "CParity", cSettings: everyC),
        .target(name: "CLinux", cSettings: everyC + [.define("_GNU_SOURCE")]),
        // The hooks' files, taken from where they lie by #embed.
        .target(name: "CHookFiles", cSettings: everyC + [.unsafeFlags(["-std=c23"])]),
        // What completes calls in a shell, in the same way.
        .target(name: "CCompletions", cSettings: everyC + [.unsafeFlags(["-std=c23"])]),
        library("CZlib"), library("CLzma"), library("CZstd"), library("CLz4"), library("CBlkid"),

        // L0: pure, no system calls, none imports another
        .target(name: "PRAM", dependencies: ["CChecksum"], swiftSettings: untrusted),
        .target(name: "KernelCommandLine", swiftSettings: untrusted),
        .target(name: "Parity", dependencies: ["CParity"], swiftSettings: untrusted),
        .target(name: "Initrd", swiftSettings: untrusted),
        .target(name: "Manifest", swiftSettings: untrusted),
        .target(name: "MemoryPicture", swiftSettings: untrusted),
        .target(name: "Text", swiftSettings: untrusted),

        // L1: the system and its libraries
        .target(name: "Linux", dependencies: ["CLinux", "CBlkid", "Manifest", "Text"], swiftSettings: everywhere),
        .target(
            name: "Compression", dependencies: ["Linux", "CZlib", "CLzma", "CZstd", "CLz4"],
            swiftSettings: everywhere),

        // L2: what the machine says of itself; where pages come from, the engine that verifies them, and writing
        .target(
            name: "Machine", dependencies: ["PRAM", "KernelCommandLine", "Linux", "Compression", "Text"],
            swiftSettings: sentences),
        .target(
            name: "MemorySources", dependencies: ["PRAM", "Machine", "Linux", "Compression", "Text"],
            swiftSettings: everywhere),
        .target(
            name: "Verification", dependencies: ["PRAM", "Parity", "Manifest", "Linux", "CChecksum", "Text"],
            swiftSettings: everywhere),
        .target(
            name: "InitrdImages", dependencies: ["Initrd", "Linux", "Compression", "Text", "CHookFiles"],
            swiftSettings: sentences),
        .target(
            name: "ChainWriting",
            dependencies: [
                "PRAM", "Parity", "Machine", "Manifest", "Linux", "MemorySources", "Verification", "CChecksum", "Text",
            ],
            swiftSettings: sentences),

        // L3: commands, reports, exit status: the only place with policy
        .target(
            name: "PramVerify",
            dependencies: [
                "PRAM", "KernelCommandLine", "Parity", "Manifest", "Initrd", "Text", "Linux", "Machine",
                "MemorySources", "Verification", "ChainWriting", "InitrdImages", "MemoryPicture", "CCompletions",
            ],
            swiftSettings: sentences),

        // L4: the entry point
        .executableTarget(
            name: "pram-verify",
            dependencies: ["PramVerify", "CLinux"],
            exclude: ["no-unwind-tables.ld"],
            cSettings: everyC,
            swiftSettings: everywhere,
            linkerSettings: [
                .linkedLibrary("z"), .linkedLibrary("lzma"), .linkedLibrary("zstd"), .linkedLibrary("lz4"),
                .linkedLibrary("blkid"), .linkedLibrary("m"),
                .unsafeFlags(oneStaticFile, shipped),
            ]),

        // What `make bench` needs besides the program itself; no part of what ships
        .executableTarget(
            name: "pram-bench", dependencies: ["PRAM", "Linux", "Text", "CLinux", "CChecksum", "CZlib"],
            path: "Benchmarks/pram-bench",
            swiftSettings: [.treatAllWarnings(as: .error)],
            linkerSettings: [.linkedLibrary("z"), .linkedLibrary("blkid")]),

        // Tests, in full Swift
        tests("CChecksum"), tests("KernelCommandLine"), tests("PRAM", "CChecksum"), tests("Text"),
        tests("Parity", "CParity"),
        tests("Initrd"), tests("InitrdImages", "Initrd", "Linux", "Compression", "Text"),
        tests("Manifest"),
        tests("MemoryPicture"),
        tests("Linux", "Manifest"),
        tests("Compression", "Linux", "CZlib", "CLzma", "CZstd"),
        tests("Machine", "PRAM", "KernelCommandLine", "Linux", "Text"),
        tests("MemorySources", "PRAM", "Machine", "ChainWriting", "Linux", "Compression", "CZlib", "CZstd"),
        tests("Verification", "PRAM", "Linux", "MemorySources"),
        tests("ChainWriting", "PRAM", "Parity", "Machine", "Linux", "MemorySources", "Verification"),
        tests(
            "PramVerify", "PRAM", "KernelCommandLine", "Machine", "Linux", "MemorySources", "Verification",
            "ChainWriting", "MemoryPicture"),
    ]
)
