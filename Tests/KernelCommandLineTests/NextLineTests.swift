import Testing
@testable import KernelCommandLine

private func next(_ text: String, removing names: [String] = []) -> NextLine {
    NextLine(after: line(text), removing: names.map { ParameterName(latin1($0)) })
}

struct NextLineTests {
    @Test(arguments: [
        ("", ""),
        ("BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet", "root=/dev/vda1 ro quiet"),
        ("ro pram=1f quiet\n", "ro quiet"),
        ("ro \"pram=1f\" pram=\"2\" pram=0x3 pram=+4 quiet", "ro quiet"),
        ("pram ro pram= pram=garbage", "ro"),
        ("xpram=1 foo.pram=2 pram.x=3 pram=5", "xpram=1 foo.pram=2 pram.x=3"),
        ("pram_banned=1M-2M PRAM=4 pram=5", "pram_banned=1M-2M PRAM=4"),
        ("dyndbg=\"file x pram=1f\" ro", "dyndbg=\"file x pram=1f\" ro"),
        ("ro -- pram=1f BOOT_IMAGE=x", "ro -- pram=1f BOOT_IMAGE=x"),
        ("elfcorehdr=0x1000 ro dmcryptkeys=0x2000 kexec_jump_back_entry=0x5fa00041 disable-cpu-apicid=0", "ro"),
        ("elfcorehdr BOOT_IMAGE quiet", "elfcorehdr BOOT_IMAGE quiet"),
        ("acpi_rsdp=0x7b5fe014 initrd=\\x crashkernel=256M", "acpi_rsdp=0x7b5fe014 initrd=\\x crashkernel=256M"),
        ("a  pram=1\t\tb", "a  \tb"),
        ("a\u{a0}pram=1\u{a0}\u{e0}b", "a\u{a0}\u{e0}b"),
        ("pram=1", ""),
        ("foo= bar=\"\" \"baz qux\" pram=2", "foo= bar=\"\" \"baz qux\""),
        ("a pram=\"1f", "a"),
        ("ro\0pram=1f", "ro"),
        ("ro \n\n", "ro \n"),
    ])
    func keepsTheRest(_ before: String, _ after: String) {
        #expect(text(next(before).text) == after)
    }

    @Test(arguments: [
        ("ro", "ro kho=on liveupdate=on"),
        ("kho=on ro liveupdate=on -- x", "kho=on ro liveupdate=on -- x"),
        ("kho=off ro", "ro kho=on liveupdate=on"),
        ("kho=on liveupdate=on kho=off", "liveupdate=on kho=on"),
        ("", "kho=on liveupdate=on"),
    ])
    func handsOverWhereItIsAsked(_ before: String, _ after: String) {
        #expect(text(next(before).handingOver().text) == after)
    }

    @Test func namesTheSessionOnce() {
        let session = Array("1b2c3d4e-000000a5".utf8)
        let line = next("ro pram_verify.session=00000000-00000001 -- x").handingOver(session: session)
        #expect(text(line.text) == "ro pram_verify.session=1b2c3d4e-000000a5 kho=on liveupdate=on -- x")
        #expect(text(next(text(line.text)).text) == "ro kho=on liveupdate=on -- x")
    }

    @Test func removesNames() {
        #expect(text(next("quiet ro splash=1 quiet x", removing: ["quiet", "splash"]).text) == "ro x")
        #expect(text(next("rd-x.y=1 rd_x.y", removing: ["rd_x-y", "rd_x.y"]).text) == "")
    }

    @Test(arguments: [
        ("ro", "a b=\"c d\"", "ro a b=\"c d\""),
        ("ro -- single", "a  b", "ro a b -- single"),
        ("", "a", "a"),
        ("ro", "", "ro"),
        ("ro ", "a", "ro a"),
        ("ro x=\"open", "a", "ro a x=\"open"),
    ])
    func appends(_ before: String, _ added: String, _ after: String) throws {
        var made = next(before)
        try made.append(latin1(added))
        #expect(text(made.text) == after)
    }

    @Test func refusesToAppend() {
        var made = next("ro x=\"open")
        #expect(throws: NextLine.Fault.doubleDash) { try made.append(latin1("a -- b")) }
        #expect(throws: NextLine.Fault.pram) { try made.append(latin1("a pram=1f")) }
        #expect(throws: NextLine.Fault.pram) { try made.append(latin1("\"pram\"")) }
        #expect(throws: NextLine.Fault.edit(.notOneParameter)) { try made.append(latin1("a=\"b")) }
        #expect(throws: NextLine.Fault.edit(.notOneParameter)) { try made.append(latin1("a\0b")) }
        #expect(throws: NextLine.Fault.edit(.overriddenByUnclosed(3..<10))) { try made.append(latin1("x=1")) }
        #expect(text(made.text) == "ro x=\"open")
    }

    @Test(arguments: [
        ("ro", "ro pram=1f"), ("", "pram=1f"), ("ro --", "ro pram=1f --"), ("ro -- a\n", "ro pram=1f -- a"),
        ("-- pram=2", "pram=1f -- pram=2"), ("ro x=\"open", "ro pram=1f x=\"open"),
    ])
    func handsOn(_ before: String, _ after: String) {
        #expect(next(before).handingOn(0x1f).map { text($0.text) } == after)
    }

    /// On any line at all: what stays is what was there, in order and byte for byte, and pram= is what was put in.
    @Test func keepsEveryOtherByte() {
        var random = SeededGenerator(state: 6)
        for _ in 0..<5_000 {
            let before = ParameterLine(random.line())
            let made = NextLine(after: before)
            let kept = before.parameters.filter { parameter in
                !parameter.isNamed("pram")
                    && !(parameter.value != nil && NextLine.namesOfThisBoot.contains { parameter.isNamed($0) })
            }
            #expect(made.line.parameters.map { Content($0) } == kept.map { Content($0) })
            #expect(
                made.line.parameters.map { [UInt8](made.line.bytes[$0.range]) }
                    == kept.map { [UInt8](before.bytes[$0.range]) })
            #expect(made.line.initParameters.map { Content($0) } == before.initParameters.map { Content($0) })
            #expect(PramParameter.find(in: made.line).occurrences.isEmpty)
            if kept.count == before.parameters.reduce(0, { count, _ in count + 1 }) {
                #expect(made.line.bytes == before.bytes)
            }

            let pfn = UInt64.random(in: 1...UInt64.max, using: &random)
            guard let handed = made.handingOn(pfn) else {
                Issue.record("pram= does not go into \(text(made.text))")
                continue
            }
            #expect(PramParameter.find(in: handed.line).pfn == pfn)
            #expect(NextLine(after: handed.line).line.parameters.map { Content($0) } == kept.map { Content($0) })
            #expect(handed.line.initParameters.map { Content($0) } == before.initParameters.map { Content($0) })
        }
    }
}
