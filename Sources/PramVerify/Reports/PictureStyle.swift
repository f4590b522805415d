/// The colours of the SVG.
enum PictureStyle {
    /// For light pages first. What is dark is said again for dark ones.
    static let sheet: StaticString = """
        text{font:13px system-ui,-apple-system,"Segoe UI",Cantarell,"DejaVu Sans",sans-serif}
        .head{font-size:20px;font-weight:600}
        .part{font-size:15px;font-weight:600}
        .address{font:11px ui-monospace,"DejaVu Sans Mono",monospace}
        .head,.part,.word{fill:#1f2328}
        .soft,.address{fill:#59636e}
        .page,.grid{fill:#fff;stroke:none}
        .grid{fill:none;stroke:#fff;stroke-opacity:.45;pointer-events:none}
        .mark{fill:none;stroke:#fff;stroke-width:2;pointer-events:none}
        .frame{fill:none;stroke:#1f2328;stroke-width:1.5;pointer-events:none}
        .nothing{fill:#f3f4f6}
        .device{fill:#dadee3}
        .memory{fill:#bcc7d6}
        .firmware{fill:#b5a98a}
        .persistent{fill:#7fc1c4}
        .reserved{fill:#84aef0}
        .kernel{fill:#8a63d2}
        .initrd{fill:#c07fc9}
        .crash{fill:#c28b52}
        .banned{fill:#6e7781}
        .intact{fill:#2da44e}
        .parity{fill:#0b8a94}
        .link{fill:#0f5323}
        .unknown{fill:#b58407}
        .repairable{fill:#e3701a}
        .damaged{fill:#d1242f}
        @media (prefers-color-scheme:dark){
        .head,.part,.word{fill:#f0f6fc}
        .soft,.address{fill:#9198a1}
        .page{fill:#0d1117}
        .grid{stroke:#0d1117}
        .frame{stroke:#f0f6fc}
        .nothing{fill:#161b22}
        .device{fill:#2a3038}
        .memory{fill:#434f60}
        .firmware{fill:#7b6d49}
        .persistent{fill:#2b7f86}
        .reserved{fill:#2f62ad}
        .kernel{fill:#8d6ad6}
        .initrd{fill:#a960b4}
        .crash{fill:#9c6a35}
        .banned{fill:#8b949e}
        .intact{fill:#2ea043}
        .parity{fill:#1aa5ae}
        .link{fill:#8ce8a0}
        .unknown{fill:#c69026}
        .repairable{fill:#f0883e}
        .damaged{fill:#f8514f}
        }

        """
}
