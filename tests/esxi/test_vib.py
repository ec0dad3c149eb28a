#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Proves what tools/build-vib makes, by taking it apart with code of its own: each checksum, size, path, mode and owner,
each document against a table of what it must hold, the same bytes for the same input, and that a changed byte is found.
No host of ESXi has taken it: what it expects is written down here.

Usage: test_vib.py BUILD-VIB REROUTE"""
import gzip
import hashlib
import io
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ET
import zipfile

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
from tap import check, run, same, test

BUILD_VIB, REROUTE = (os.path.abspath(path) for path in sys.argv[1:])
TIME = 1700000001
DATE = r'2023-11-14T22:13:21\.000000\+00:00'
VERSION = r'[0-9]+\.[0-9]+\.[0-9]+-1'
BOOL = r'(true|false)'
HASH = {'sha-256': '[0-9a-f]{64}', 'sha-1': '[0-9a-f]{40}'}

# Path: mode. Sticky: a file that the host keeps when it is changed.
FILES = {
    'etc/init.d/reroute': 0o555,
    'etc/reroute/reroute.conf': 0o1644,
    'etc/vmware/firewall/reroute.xml': 0o444,
    'opt/reroute/bin/reroute': 0o555,
    'opt/reroute/reroute.conf.example': 0o444,
}
FOLDERS = ['etc', 'etc/init.d', 'etc/reroute', 'etc/vmware', 'etc/vmware/firewall', 'opt', 'opt/reroute', 'opt/reroute/bin']

# The descriptor: its elements in their order, and the text of each. None: it has elements of its own.
DESCRIPTOR = [
    ('type', 'bootbank'), ('name', 'reroute'), ('version', VERSION), ('vendor', r'[a-z]+'), ('summary', r'.{10,100}'),
    ('description', r'.{10,1000}'), ('release-date', DATE), ('urls', None), ('relationships', None), ('software-tags', ''),
    ('system-requires', None), ('file-list', None), ('acceptance-level', 'community'), ('live-install-allowed', 'true'),
    ('live-remove-allowed', 'true'), ('cimom-restart', 'false'), ('stateless-ready', 'true'), ('overlay', 'false'),
    ('payloads', None)]
PLATFORM = {'version': '8.*', 'locale': '', 'productLineID': 'embeddedEsx'}
BULLETIN = [
    ('id', f'reroute-{VERSION}'), ('vendor', r'[a-z]+'), ('summary', '.+'), ('severity', 'general'), ('category', 'general'),
    ('urgency', 'general'), ('releaseType', 'extension'), ('description', '.+'), ('kbUrl', '.+'), ('contact', '.+'),
    ('componentNameSpec', ''), ('componentVersionSpec', ''), ('releaseDate', DATE), ('platforms', None), ('vibList', None)]


def program():
    """A program for x86-64 without segments: static, and nothing else."""
    return struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\2\1\1', 2, 62, 1, 0, 64, 0, 0, 64, 56, 0, 0, 0, 0) + b'program' * 3000


def read(path):
    with open(path, 'rb') as file:
        return file.read()


def build(folder, data=None, environment=(), *options):
    path = os.path.join(folder, 'program')
    with open(path, 'wb') as file:
        file.write(program() if data is None else data)
    return subprocess.run([BUILD_VIB, '--program', path, *options], capture_output=True, text=True, timeout=60, check=False,
                          env={name: value for name, value in {**os.environ, 'SOURCE_DATE_EPOCH': str(TIME),
                                                               **dict(environment)}.items() if value is not None})


def made(**settings):
    """The bytes of the VIB and of the bundle."""
    with tempfile.TemporaryDirectory() as folder:
        done = build(folder, **settings)
        same(done.returncode, 0, done.stderr)
        names = sorted(name for name in os.listdir(folder) if name != 'program')
        same(len(names), 2, names)
        check(re.fullmatch(f'reroute-{VERSION}-offline-bundle.zip', names[0]) and
              re.fullmatch(f'reroute-{VERSION}.vib', names[1]), names)
        return [read(os.path.join(folder, name)) for name in reversed(names)]


# --- taking apart --------------------------------------------------------------------------------------------------

def take_ar(data):
    same(data[:8], b'!<arch>\n', 'magic')
    at, members = 8, []
    while at < len(data):
        name, seconds, owner, group, mode, size, end = (field.decode().rstrip(' ') for field in
                                                        struct.unpack_from('16s12s6s6s8s10s2s', data, at))
        same((seconds, owner, group, mode, end), (str(TIME), '0', '0', '100644', '`\n'), name)
        at += 60
        members.append((name, data[at:at + int(size)]))
        same(len(members[-1][1]), int(size), 'it is whole')
        at += int(size)
        if at % 2:
            same(data[at:at + 1], b'\n', 'padding')
            at += 1
    return members


def take_tar(data):
    """What is in it, by Python's own reader; the fields of ESXi's kind of header by hand."""
    same(len(data) % 512, 0)
    same(data[-1024:], b'\0' * 1024, 'the end')
    with tarfile.open(fileobj=io.BytesIO(data), mode='r:') as archive:
        members = archive.getmembers()
        for member in members:
            header = data[member.offset:member.offset + 512]
            same(header[257:265], b'visor  \0', member.name)
            same(header[265:329], b'root'.ljust(32, b'\0') * 2, member.name)
            same(header[496:512], bytes(16), f'{member.name}: its data are behind the header')
            same(header[148:156], b'%06o\0 ' % (sum(header) - sum(header[148:156]) + 8 * 32), member.name)
            same((member.uid, member.gid, member.mtime), (0, 0, TIME), member.name)
        files = {m.name: (m.mode, archive.extractfile(m).read()) for m in members if m.isfile()}
    same([m.name for m in members if m.isdir()], FOLDERS)
    same([m.mode for m in members if m.isdir()], [0o755] * len(FOLDERS))
    same(len(members), len(FOLDERS) + len(files), 'nothing but folders and files')
    for at, member in enumerate(members):
        folder = os.path.dirname(member.name)
        check(not folder or folder in [m.name for m in members[:at]], 'folders come first', member.name)
    return files


def text_of(element):
    return (element.text or '').strip()


def check_elements(element, table):
    same([child.tag for child in element], [tag for tag, _ in table], element.tag)
    for child, (tag, pattern) in zip(element, table):
        if pattern is None:
            same(text_of(child), '', tag)
            check(len(child) > 0, tag)
        else:
            check(len(child) == 0 and re.fullmatch(pattern, text_of(child)), tag, text_of(child))


def check_descriptor(vib):
    same((vib.tag, vib.attrib), ('vib', {'version': '5.0'}))
    check_elements(vib, DESCRIPTOR)
    same([child.tag for child in vib.find('relationships')], ['depends', 'conflicts', 'replaces', 'provides', 'compatibleWith'])
    check_elements(vib.find('system-requires'), [('maintenance-mode', 'false'), ('softwarePlatform', '')])
    same(vib.find('system-requires/softwarePlatform').attrib, PLATFORM)
    same([text_of(file) for file in vib.find('file-list')], sorted(FILES))
    payload, = vib.find('payloads')
    same((payload.tag, payload.attrib['name'], payload.attrib['type']), ('payload', 'reroute', 'tgz'))
    same([(sum.tag, sum.attrib.get('checksum-type'), sum.attrib.get('verify-process')) for sum in payload],
         [('checksum', 'sha-256', None), ('checksum', 'sha-256', 'gunzip'), ('checksum', 'sha-1', 'gunzip')])
    for sum in payload:
        check(re.fullmatch(HASH[sum.attrib['checksum-type']], text_of(sum)), text_of(sum))
    return payload


def take_vib(data):
    """Checks everything of it that it says itself. Returns its descriptor and its files."""
    (first, descriptor), (second, signature), (third, packed) = take_ar(data)
    same((first, second, third, signature), ('descriptor.xml', 'sig.pkcs7', 'reroute', b''))
    vib = ET.fromstring(descriptor)
    payload = check_descriptor(vib)
    same(payload.attrib['size'], str(len(packed)), 'the packed size')
    same(packed[4:8], bytes(4), 'no time in gzip')
    unpacked = gzip.decompress(packed)
    same([text_of(sum) for sum in payload], [hashlib.sha256(packed).hexdigest(), hashlib.sha256(unpacked).hexdigest(),
                                            hashlib.sha1(unpacked).hexdigest()], 'checksums')
    files = take_tar(unpacked)
    same({path: mode for path, (mode, _) in files.items()}, FILES)
    return vib, {path: data for path, (_, data) in files.items()}


def take_zip(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        same(archive.testzip(), None)
        for entry in archive.infolist():
            same((entry.date_time, entry.external_attr >> 16), ((2023, 11, 14, 22, 13, 20), 0o100644), entry.filename)
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def check_bulletin(bulletin, version):
    check_elements(bulletin, BULLETIN)
    same(text_of(bulletin.find('id')), f'reroute-{version}')
    same(bulletin.find('componentNameSpec').attrib, {'name': 'reroute', 'uiString': 'reroute'})
    same(bulletin.find('componentVersionSpec').attrib, {'version': version, 'uiString': version})
    same([(p.tag, p.attrib) for p in bulletin.find('platforms')], [('softwarePlatform', PLATFORM)])


def take_bundle(data):
    """Checks that the bundle's parts agree with each other, and returns the VIB in it."""
    parts = take_zip(data)
    vendor = ET.fromstring(parts['index.xml']).find('vendor')
    check_elements(vendor, [('name', 'reroute'), ('code', '[A-Z]{3}'), ('indexfile', 'vendor-index.xml'), ('patchUrl', ''),
                            ('relativePath', ''), ('content', None)])
    check_elements(vendor.find('content'), [('name', 'VMware ESX'), ('type', 'http://www.vmware.com/depotmanagement/esx')])
    metadata = ET.fromstring(parts['vendor-index.xml']).find('metadata')
    check_elements(metadata, [('productId', 'embeddedEsx'), ('version', r'8\.\*'), ('locale', ''), ('patchUrl', ''),
                              ('url', r'metadata\.zip'), ('channelName', 'default')])
    inner = take_zip(parts[text_of(metadata.find('url'))])
    same(inner['vendor-index.xml'], parts['vendor-index.xml'])
    response = ET.fromstring(inner['vmware.xml'])
    check_elements(response, [('version', r'3\.0'), ('timestamp', r'2023-11-14T22:13:21\.000000'), ('bulletin', None)])
    listed, = response.find('bulletin/vibList')
    version, vib_id, path = (text_of(listed.find(tag)) for tag in ('version', 'vibID', 'vibFile/relativePath'))
    same(vib_id, f'reroute_bootbank_reroute_{version}')
    same(path, f'vib20/reroute/{vib_id}.vib')
    same(set(parts), {'index.xml', 'vendor-index.xml', 'metadata.zip', path})
    numbered, = (name for name in inner if re.fullmatch('vibs/reroute-[0-9]+.xml', name))
    same(set(inner), {'vmware.xml', 'vendor-index.xml', f'bulletins/reroute-{version}.xml', numbered})
    check_bulletin(response.find('bulletin'), version)
    bulletin = ET.fromstring(inner[f'bulletins/reroute-{version}.xml'])
    check_bulletin(bulletin, version)
    same([(v.tag, text_of(v)) for v in bulletin.find('vibList')], [('vibID', vib_id)])
    vib = parts[path]
    size, digest = str(len(vib)), hashlib.sha256(vib).hexdigest()
    same([text_of(listed.find(f'vibFile/{tag}')) for tag in ('packedSize', 'checksum/checksumType', 'checksum/checksum')],
         [size, 'sha-256', digest])
    # The descriptor once more, and where its VIB is.
    described = ET.fromstring(inner[numbered])
    added = [described.find(tag) for tag in ('relative-path', 'packed-size', 'checksum')]
    same([text_of(one) for one in added], [path, size, digest])
    same(added[2].attrib, {'checksum-type': 'sha-256'})
    for one in added:
        described.remove(one)
    same(ET.canonicalize(ET.tostring(described), strip_text=True),
         ET.canonicalize(dict(take_ar(vib))['descriptor.xml'].decode(), strip_text=True), 'the descriptor')
    return vib


# --- tests ---------------------------------------------------------------------------------------------------------

VIB, BUNDLE = made()


@test
def the_vib_is_what_it_says():
    vib, files = take_vib(VIB)
    same(files['opt/reroute/bin/reroute'], program())
    version = subprocess.run([REROUTE, '--version'], capture_output=True, text=True, check=True).stdout.split()[1]
    same(text_of(vib.find('version')), version + '-1')


@test
def the_bundle_has_the_same_vib():
    same(take_bundle(BUNDLE), VIB)


@test
def the_same_input_makes_the_same_bytes():
    before = os.umask(0o077)
    try:
        same(made(), [VIB, BUNDLE])
    finally:
        os.umask(before)
    check(made(data=program() + b'.') != [VIB, BUNDLE])
    check(made(environment={'SOURCE_DATE_EPOCH': '5'}) != [VIB, BUNDLE])


@test
def without_a_time_it_is_that_of_the_last_commit():
    root = os.path.dirname(os.path.dirname(BUILD_VIB))
    asked = subprocess.run(['git', '-c', f'safe.directory={root}', '-C', root, 'log', '-1', '--format=%ct'], capture_output=True,
                           text=True, check=False)
    with tempfile.TemporaryDirectory() as folder:
        done = build(folder, None, {'SOURCE_DATE_EPOCH': None})
        if asked.returncode != 0:
            same(done.returncode, 4, done.stderr)
            return
        same(done.returncode, 0, done.stderr)
        vib, = (name for name in os.listdir(folder) if name.endswith('.vib'))
        same(read(os.path.join(folder, vib))[8:68].split()[1].decode(), asked.stdout.strip())


def is_refused(look, data):
    try:
        look(data)
    except Exception:
        return True
    return False


@test
def a_changed_byte_is_found():
    for at in [*range(0, 160), *range(160, len(VIB), 97), len(VIB) - 1]:
        changed = bytearray(VIB)
        changed[at] ^= 1
        bundle = io.BytesIO()
        with zipfile.ZipFile(bundle, 'w') as archive:
            for name, data in take_zip(BUNDLE).items():
                entry = zipfile.ZipInfo(name, (2023, 11, 14, 22, 13, 20))
                entry.external_attr = 0o100644 << 16
                archive.writestr(entry, bytes(changed) if name.endswith('.vib') else data)
        check(is_refused(take_bundle, bundle.getvalue()), 'in the bundle, byte', at)
    # By itself: whatever is not a word of the descriptor.
    payload = VIB.rindex(b'`\n') + 2
    for at in [*range(payload, len(VIB) - 1, 37), *range(8), *range(payload - 60, payload)]:
        changed = bytearray(VIB)
        changed[at] ^= 1
        check(is_refused(take_vib, bytes(changed)), 'in the VIB, byte', at)


@test
def other_readers_take_it_apart_too():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'vib')
        with open(path, 'wb') as file:
            file.write(VIB)
        listed = subprocess.run(['ar', 't', path], capture_output=True, text=True, check=True)
        same(listed.stdout.split(), ['descriptor.xml', 'sig.pkcs7', 'reroute'])
        packed = subprocess.run(['ar', 'p', path, 'reroute'], capture_output=True, check=True).stdout
        listed = subprocess.run(['tar', '-tz'], input=packed, capture_output=True, check=True)
        same(sorted(listed.stdout.decode().split()), sorted([*FILES, *(folder + '/' for folder in FOLDERS)]))


@test
def the_firewall_lets_the_agent_ask():
    _, files = take_vib(VIB)
    service, = ET.fromstring(files['etc/vmware/firewall/reroute.xml'])
    same([child.tag for child in service], ['id', *4 * ['rule'], 'enabled', 'required'])
    same([text_of(service.find(tag)) for tag in ('id', 'enabled', 'required')], ['reroute', 'true', 'false'])
    for number, (rule, port) in enumerate(zip(service.findall('rule'), ('80', '443', '2049', '3260'))):
        same(rule.attrib, {'id': f'{number:04}'})
        same([(child.tag, text_of(child)) for child in rule],
             [('direction', 'outbound'), ('protocol', 'tcp'), ('porttype', 'dst'), ('port', port)])


@test
def its_configuration_waits_to_be_written():
    _, files = take_vib(VIB)
    text = files['etc/reroute/reroute.conf'].decode()
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, 'conf')
        for written, code in ((text, 3), (re.sub('(?m)^#(service|access)', r'\1', text), 0)):
            with open(path, 'w', encoding='ascii') as file:
                file.write(written)
            done = subprocess.run([REROUTE, 'check-config', path], capture_output=True, text=True, check=False)
            same((done.returncode, done.stderr.count('\n')), (code, 1 if code else 0), done.stderr)
            check(code == 0 or 'service' in done.stderr, done.stderr)
    same(files['opt/reroute/reroute.conf.example'], read(os.path.join(os.path.dirname(BUILD_VIB), 'reroute.conf.example')))


@test
def what_it_cannot_use_is_one_line():
    dynamic = program()[:56] + struct.pack('<H', 1) + program()[58:64] + struct.pack('<I', 3) + bytes(52)
    for data, environment, options, code, what in (
            (b'#!/bin/sh\n', {}, [], 1, 'expected a program for x86-64'),
            (dynamic, {}, [], 1, 'expected a static program'),
            (dynamic[:80], {}, [], 1, 'it is cut off'),
            (None, {'SOURCE_DATE_EPOCH': ''}, [], 3, 'expected seconds since 1970'),
            (None, {'SOURCE_DATE_EPOCH': 'now'}, [], 3, "SOURCE_DATE_EPOCH='now': expected seconds"),
            (None, {}, ['--output', '/nonexistent'], 4, 'No such file or directory'),
            (None, {}, ['--program', '/nonexistent'], 4, '/nonexistent: No such file or directory'),
            (None, {}, ['--prog', 'x'], 3, '--prog'),
            (None, {}, ['x'], 3, 'x')):
        with tempfile.TemporaryDirectory() as folder:
            done = build(folder, data, environment, *options)
            same((done.returncode, done.stdout, done.stderr.count('\n')), (code, '', 1), done.stderr)
            check(done.stderr.startswith('build-vib: ') and what in done.stderr, what, done.stderr)
            same(os.listdir(folder), ['program'], 'nothing is made')


sys.exit(run())
