"""DLA-34: its shapes, its size, its names, and how its trees are wired."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.train.models.dla import DLA34, BasicBlock, Root, Tree  # noqa: E402


@pytest.fixture(scope="module")
def backbone():
    torch.manual_seed(0)
    return DLA34().eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 96)])
def test_six_levels_halve_the_size_from_one_to_the_next(backbone, height, width):
    with torch.no_grad():
        levels = backbone(torch.randn(1, 3, height, width))
    channels = (16, 32, 64, 128, 256, 512)
    assert [tuple(level.shape) for level in levels] == [
        (1, c, height >> n, width >> n) for n, c in enumerate(channels)
    ]


def test_parameters_with_a_classifier_are_the_published_15_7_million(backbone):
    parameters = sum(p.numel() for p in backbone.parameters())
    assert (parameters + 512 * 1000 + 1000) / 1e6 == pytest.approx(15.74, abs=0.01)


def test_names_and_shapes_are_those_of_the_authors_file(backbone):
    state = backbone.state_dict()
    expected = {
        "base_layer.0.weight": (16, 3, 7, 7),
        "base_layer.1.running_mean": (16,),
        "level0.0.weight": (16, 16, 3, 3),
        "level1.0.weight": (32, 16, 3, 3),
        "level2.project.0.weight": (64, 32, 1, 1),
        "level2.root.conv.weight": (64, 128, 1, 1),
        "level3.tree1.tree1.conv1.weight": (128, 64, 3, 3),
        "level3.tree1.project.0.weight": (128, 64, 1, 1),
        "level3.tree1.root.conv.weight": (128, 256, 1, 1),
        # two blocks, the level's input and the first tree
        "level3.tree2.root.conv.weight": (128, 448, 1, 1),
        "level4.tree2.root.bn.weight": (256,),
        # two blocks and the level's input
        "level5.root.conv.weight": (512, 1280, 1, 1),
        "level5.tree2.conv2.weight": (512, 512, 3, 3),
    }
    assert {name: tuple(state[name].shape) for name in expected} == expected


def test_a_block_adds_its_shortcut_before_the_last_relu():
    block = BasicBlock(2, 2).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    shortcut = torch.tensor([1.5, -1.0]).reshape(1, 2, 1, 1).expand(1, 2, 3, 3)
    out = block(torch.randn(1, 2, 3, 3), shortcut)
    torch.testing.assert_close(out, shortcut.clamp(min=0))


def test_a_root_aggregates_all_that_it_is_given():
    root = Root(3, 1).eval()
    root.conv.weight.data = torch.tensor([1.0, 10.0, 100.0]).reshape(1, 3, 1, 1)
    children = [torch.full((1, 1, 2, 2), value) for value in (1.0, 2.0, 3.0)]
    out = root(children)
    torch.testing.assert_close(out, torch.full_like(out, 321.0), rtol=1e-4, atol=1e-4)


def test_a_tree_of_two_levels_hands_its_input_and_first_half_to_the_last_root():
    tree = Tree(2, 1, 1, 2, level_root=True).eval()
    seen = []
    tree.tree2.root.register_forward_pre_hook(lambda _, arguments: seen.extend(arguments[0]))
    firsts = []
    tree.tree1.register_forward_hook(lambda _, __, output: firsts.append(output))
    x = torch.rand(1, 1, 4, 4)
    with torch.no_grad():
        tree(x)
    assert len(seen) == 4
    torch.testing.assert_close(seen[2], torch.nn.functional.max_pool2d(x, 2))
    torch.testing.assert_close(seen[3], firsts[0])


def test_every_weight_gets_a_gradient():
    network = DLA34().train()
    network(torch.randn(2, 3, 64, 64))[-1].square().sum().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
