"""Makes the checkpoints and cases under tests/data/golden/ from the full reference data.

  make_fixtures.py GOLDEN_FOLDER OUT_FOLDER

Each archive has a checkpoint and the cases that it is for. vl2-small is whole. Of vl2-tiny and vl2-base the
vision tower and the projector are set to zero (their code is the same for all three; zeros compress to
nothing), and only text cases are taken along.
"""
import json, os, shutil, struct, subprocess, sys, tempfile

PLAN = {
    "small": ("vl2-small-dev", ["text_only", "non_ascii_text_only", "wide_strip"], False),
    "tiny": ("vl2-tiny-dev", ["text_only"], True),
    "base": ("vl2-base-dev", ["text_only"], True),
}

def zero_vision(path):
    with open(path, "r+b") as f:
        size = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(size))
        for name, tensor in header.items():
            if name.startswith(("vision.", "projector.")):
                begin, end = tensor["data_offsets"]
                f.seek(8 + size + begin)
                f.write(bytes(end - begin))

def main(golden, out):
    for name, (model, cases, zero) in PLAN.items():
        with tempfile.TemporaryDirectory() as folder:
            root = os.path.join(folder, name)
            shutil.copytree(os.path.join(golden, "models", model), root)
            for base, dirs, files in os.walk(root):
                os.chmod(base, 0o755)
                for file in files:
                    os.chmod(os.path.join(base, file), 0o644)
            if zero:
                for file in os.listdir(root):
                    if file.endswith(".safetensors"):
                        zero_vision(os.path.join(root, file))
            for case in cases:
                source = os.path.join(golden, "cases", model, case)
                target = os.path.join(root, "cases", case)
                shutil.copytree(source, target)
                os.chmod(target, 0o755)
                for file in os.listdir(target):
                    os.chmod(os.path.join(target, file), 0o644)
                for image in json.load(open(os.path.join(source, "case.json")))["image_files"]:
                    os.makedirs(os.path.join(root, "images"), exist_ok=True)
                    copied = os.path.join(root, image)
                    shutil.copyfile(os.path.join(golden, image), copied)
                    os.chmod(copied, 0o644)
            archive = os.path.join(out, name + ".tar.xz")
            tar = subprocess.Popen(
                ["tar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner",
                 "--mtime=2026-01-01", "-C", folder, "-cf", "-", name], stdout=subprocess.PIPE)
            with open(archive, "wb") as f:
                subprocess.run(["xz", "-9e", "--lzma2=preset=9e,lc=0,lp=1,pb=1,dict=16MiB"], stdin=tar.stdout, stdout=f, check=True)
            assert tar.wait() == 0
            print(archive, os.path.getsize(archive))

main(*sys.argv[1:])
